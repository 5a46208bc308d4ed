"""Operations applied to values: dtypes brought together, nodes built and marked, errors pointed at the operands at fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import GradcliError, Label
from gradcli.graph.node import Node
from gradcli.graph.operation import Operation, cast_to
from gradcli.graph.types import is_float, promote
from gradcli.language import syntax
from gradcli.language.values import Value, Weak

if TYPE_CHECKING:
    from gradcli.language.elaborate import Elaborator

Operand = tuple[Value, syntax.Syntax]


def apply(e: Elaborator, op: Operation, operands: Sequence[Operand], attrs: dict[str, Any], at: syntax.Syntax) -> Node:
    """The node of an operation on values, literals in the dtype of what they meet."""
    if op.quick and (node := _quickly(e, op, operands, at)) is not None:
        return node
    nodes = operand_nodes(e, op, operands)

    def build() -> Node:
        return op(*op.prepare(nodes, e.float_dtype), **attrs)

    return guarded(e, build, at, [place for _, place in operands])


def _quickly(e: Elaborator, op: Operation, operands: Sequence[Operand], at: syntax.Syntax) -> Node | None:
    """The frequent case: floats of one dtype, and literals beside them."""
    dtype = next((v.dtype for v, _ in operands if v.__class__ is Node), None)
    if dtype is None or not is_float(dtype):
        return None
    nodes: list[Node] = []
    for value, place in operands:
        if value.__class__ is Weak:
            nodes.append(e.literal(value, dtype, place))
        elif value.__class__ is Node:
            nodes.append(value)
        else:
            return None
    node = op.quickly(tuple(nodes))
    return None if node is None else e.mark(node, (at.start, at.end))


def operand_nodes(e: Elaborator, op: Operation, operands: Sequence[Operand]) -> list[Node]:
    apart = op.apart
    dtypes = [v.dtype for i, (v, _) in enumerate(operands) if isinstance(v, Node) and i not in apart]
    meets = promote(dtypes) if dtypes else None
    weak = [v.value for i, (v, _) in enumerate(operands) if isinstance(v, Weak) and i not in apart]
    if op.degree == "power" and _negative_power(operands):
        meets = e.float_dtype
        operands = [
            (cast_to(v, meets), place) if isinstance(v, Node) and not is_float(v.dtype) else (v, place)
            for v, place in operands
        ]
    elif weak and (meets is None or not is_float(meets)):
        if op.accepts == "float" or any(isinstance(v, float) for v in weak):
            meets = e.float_dtype
        elif meets is None or meets == "bool":
            meets = e.integer_dtype
    nodes: list[Node] = []
    for i, (value, place) in enumerate(operands):
        if isinstance(value, Weak):
            node = e.literal(value, None if i in apart else meets, place)
            nodes.append(e.mark(node, (place.start, place.end)))
        else:
            nodes.append(e.node(value, place))
    return nodes


def _negative_power(operands: Sequence[Operand]) -> bool:
    """An integer or bool to a negative literal power is a float."""
    (base, _), (exponent, _) = operands
    return (
        isinstance(exponent, Weak)
        and exponent.value < 0
        and (isinstance(base, Weak) or isinstance(base, Node) and not is_float(base.dtype))
    )


def guarded(e: Elaborator, build: Callable[[], Node], at: syntax.Syntax, operands: Sequence[syntax.Syntax]) -> Node:
    """A node built and marked; an error of the operation is pointed at its operands."""
    try:
        return e.mark(build(), (at.start, at.end))
    except GradcliError as error:
        raise labelled(e, error, at, operands) from None


def labelled(e: Elaborator, error: GradcliError, at: syntax.Syntax, operands: Sequence[syntax.Syntax]) -> GradcliError:
    """An error of the graph's layer, with the places of the operands that it numbers."""
    if error.labels:
        return error
    labels = [Label(e.span(operands[i]), text) for i, text in error.operands if i < len(operands)]
    error.labels = tuple(labels) or (Label(e.span(at)),)
    return error

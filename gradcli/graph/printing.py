"""An operation as text of the language, from the texts of its inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gradcli.graph.node import Node
from gradcli.graph.types import is_float

OR, AND, NOT, COMPARISON, SUM, PRODUCT, MINUS, POWER, POSTFIX, ATOM = range(10)
"""How tightly a text binds, loosest first."""

_LEVELS = {"or": OR, "and": AND, "+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "@": PRODUCT}
"""By sign; others between two operands are comparisons."""


class Text(NamedTuple):
    """A piece of program text and how tightly it binds."""

    text: str
    binds: int = ATOM

    def at_least(self, binds: int) -> str:
        return self.text if self.binds >= binds else f"({self.text})"


def number(value: float | int | bool, dtype: str) -> Text:
    """A literal that reads back as the same number; floats always show that they are floats."""
    if isinstance(value, bool) or dtype == "bool":
        return Text("true" if value else "false")
    if not is_float(dtype):
        return Text(str(value), ATOM if value >= 0 else MINUS)
    value = float(value)
    if math.isnan(value):
        return Text("nan")
    sign = math.copysign(1.0, value)
    size = "inf" if math.isinf(value) else repr(abs(value))
    return Text(size) if sign > 0 else Text("-" + size, MINUS)


def apply(node: Node, inputs: Sequence[Text], float_dtype: str = "") -> Text:
    """The text of one node, given those of its inputs; ``float_dtype`` is the dtype that need not be said."""
    op = node.op
    name = op.name
    if op.symbol and len(inputs) == 2 and name != "pow":
        level = _LEVELS.get(op.symbol, COMPARISON)
        # Left-associative; comparisons do not chain at all.
        left = inputs[0].at_least(level + (level == COMPARISON))
        return Text(f"{left} {op.symbol} {inputs[1].at_least(level + 1)}", level)
    if name == "pow":
        return Text(f"{inputs[0].at_least(POSTFIX)}^{inputs[1].at_least(MINUS)}", POWER)
    if name == "neg":
        return Text(f"-{inputs[0].at_least(MINUS)}", MINUS)
    if name == "logical_not":
        return Text(f"not {inputs[0].at_least(NOT)}", NOT)
    if op.written is not None:
        return _in_words(node, inputs)
    if name == "recip_no_nan":
        return Text(f"divide_no_nan(1, {inputs[0].text})")
    if name == "reshape" and (axis := _inserted(node.shape, node.inputs[0].shape)) is not None:
        return Text(f"expand_dims({inputs[0].text}, {axis})")
    if name == "reshape" and (axis := _inserted(node.inputs[0].shape, node.shape)) is not None:
        return Text(f"squeeze({inputs[0].text}, {axis})")
    if name == "stack" and not node.attrs["axis"] and any([x.op.name not in ("literal", "array") for x in node.inputs]):
        return Text(f"[{', '.join(t.text for t in inputs)}]")
    if name == "broadcast_to" and not node.inputs[0].shape:
        return Text(f"full({attribute(node.attrs['shape'])}, {inputs[0].text})")
    if name == "transpose" and tuple(node.attrs["axes"]) == tuple(reversed(range(node.rank))):
        return Text(f"{inputs[0].at_least(POSTFIX)}.T", POSTFIX)
    if name == "index":
        items = items_text(node.attrs["items"], node.inputs[0].shape)
        return Text(f"{inputs[0].at_least(POSTFIX)}[{items}]", POSTFIX)
    if name == "unindex" and (paddings := _paddings(node)) is not None:
        border = ", false" if node.dtype == "bool" else ""  # the default is a number
        return Text(f"pad({inputs[0].text}, {paddings}{border})")
    if name == "contraction":
        return Text(f'einsum("{equation(node)}", {", ".join(t.text for t in inputs)})')
    if name == "diagonal" or name == "embed_diagonal" and node.inputs[0].rank == 1:
        k = node.attrs["k"]
        return Text(f"diag({inputs[0].text}" + (f", {k})" if k else ")"))
    return Text(f"{name}({', '.join(_arguments(node, inputs, float_dtype))})")


def _in_words(node: Node, inputs: Sequence[Text]) -> Text:
    """An operation that only derivatives use, as a formula of the inputs that it is differentiated by."""
    from gradcli.graph.ops.creation import make_leaf

    stand_ins = [make_leaf("x", "variable", x.shape, x.dtype, False) for x in node.inputs]
    formula = node.op.plain or node.op.written
    assert formula is not None
    written = formula(node.with_inputs(tuple(stand_ins)), *stand_ins)
    return expression(written, dict(zip(stand_ins, [t.at_least(ATOM) for t in inputs], strict=True)))


def _inserted(shape: Sequence[int], other: Sequence[int]) -> int | None:
    """The axis of size 1 by which a shape is longer than another."""
    if len(shape) != len(other) + 1:
        return None
    return next((k for k in range(len(shape)) if shape[k] == 1 and [*shape[:k], *shape[k + 1 :]] == list(other)), None)


def _arguments(node: Node, inputs: Sequence[Text], float_dtype: str) -> list[str]:
    """The arguments of a call in the order of the signature, defaults left out."""
    op, name = node.op, node.op.name
    shown: list[str] = []
    rest = list(inputs)
    for p in op.parameters:
        if p.kind == "tensors":
            shown.append("[" + ", ".join(t.text for t in rest) + "]")
            rest = []
        elif p.kind == "operands":
            shown.extend(t.text for t in rest)
            rest = []
        elif p.one_tensor or p.kind == "parameter" and rest:
            if rest:
                shown.append(rest.pop(0).text)
        elif p.name in node.attrs:
            value = node.attrs[p.name]
            if p.default is not None and value == op.defaults.get(p.name):
                continue
            if p.name == "axis" and p.kind == "axes" and tuple(value) == tuple(range(node.inputs[0].rank)):
                continue
            if p.name == "axis" and op.defaults.get(p.name) == -1 and value == node.inputs[0].rank - 1:
                continue
            if p.kind == "dtype" and value == float_dtype and p.default is not None and name != "arange":
                continue
            if p.kind == "axes" and value is not None and len(value) == 1:
                value = value[0]
            text = attribute(value)
            shown.append(text if p.default is None else f"{p.name}={text}")
    return shown


def attribute(value: Any) -> str:
    """A static argument: true, 3, 0.5, [0, 1], float32."""
    if value is None:
        return "None"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(attribute(v) for v in value) + "]"
    if isinstance(value, float):
        return number(value, "float64").text
    return str(value)


def items_text(items: Sequence[Any], shape: Sequence[int], new: str = "newaxis") -> str:
    """What stands between the brackets of an index; ``new`` is the word for a new axis."""
    shown: list[str] = []
    axis = 0
    for item in items:
        if item is None:
            shown.append(new)
            continue
        if isinstance(item, int):
            shown.append(str(item))
        else:
            start, stop, step = item
            size = shape[axis]
            backwards = step < 0
            lower = "" if start == (size - 1 if backwards else 0) else str(start)
            upper = "" if stop is None or (stop == size and not backwards) else str(stop)
            shown.append(f"{lower}:{upper}" + (f":{step}" if step != 1 else ""))
        axis += 1
    return ", ".join(shown)


def _paddings(node: Node) -> str | None:
    """The paddings that put the input where the slices say; None where slices skip entries or drop axes."""
    items, shape = node.attrs["items"], node.attrs["shape"]
    pairs: list[str] = []
    for i, size in enumerate(shape):
        item = items[i] if i < len(items) else (0, size, 1)
        if not isinstance(item, tuple) or item[2] != 1 or item[1] is None:
            return None
        pairs.append(f"[{item[0]}, {size - item[1]}]")
    return f"[{', '.join(pairs)}]" if len(items) <= len(shape) else None


def equation(node: Node) -> str:
    """The einsum equation of a contraction."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    groups = ["".join(letters[k] for k in group) for group in node.attrs["labels"]]
    return ",".join(groups) + "->" + "".join(letters[k] for k in node.attrs["out"])


def expression(node: Node, names: Mapping[Node, str]) -> Text:
    """A small expression as in a table of derivatives, in one piece and without its domain; ``names`` are the leaves.

    For programs that read back see the printer of the language.
    """
    if node in names:
        return Text(names[node])
    if node.op.name == "literal":
        value = node.attrs["value"]
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e6:
            value = int(value)
        return number(value, "int64" if isinstance(value, int) else node.dtype)
    inputs = [expression(x, names) for x in node.inputs]
    if node.op.name == "recip":
        return Text(f"1 / {inputs[0].at_least(MINUS)}", PRODUCT)
    return apply(node, inputs)

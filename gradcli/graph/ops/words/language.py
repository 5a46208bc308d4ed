"""How the language writes each operation: as a sign, in a form of its own, or as a call with its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gradcli.graph.node import Node
from gradcli.graph.operation import Parameter
from gradcli.graph.printing import (
    AND,
    ATOM,
    COMPARISON,
    MINUS,
    NOT,
    OR,
    POSTFIX,
    POWER,
    PRODUCT,
    SUM,
    Text,
    attribute,
    equation,
    items_text,
    number,
)

_LEVELS = {"or": OR, "and": AND, "+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "@": PRODUCT}
"""By sign; others between two operands are comparisons."""


Word = Callable[[Node, Sequence[Text]], "Text | None"]
"""The text of a node from those of its inputs, or None where a call is all that there is."""


def apply(node: Node, inputs: Sequence[Text], float_dtype: str = "") -> Text:
    """The text of one node, given those of its inputs; ``float_dtype`` is the dtype that need not be said."""
    op = node.op
    word = WORDS.get(op.name)
    if word is None and op.symbol is not None and len(inputs) == 2:
        level = _LEVELS.get(op.symbol, COMPARISON)
        # Left-associative; comparisons do not chain at all.
        left = inputs[0].at_least(level + (level == COMPARISON))
        return Text(f"{left} {op.symbol} {inputs[1].at_least(level + 1)}", level)
    if op.written is not None:
        return _in_words(node, inputs)
    text = word(node, inputs) if word is not None else None
    return text or Text(f"{op.name}({', '.join(_arguments(node, inputs, float_dtype))})")


def _in_words(node: Node, inputs: Sequence[Text]) -> Text:
    """An operation that only derivatives use, as a formula of the inputs that it is differentiated by."""
    from gradcli.graph.ops.creation import in_words

    written, stand_ins = in_words(node)
    return expression(written, dict(zip(stand_ins, [t.at_least(ATOM) for t in inputs], strict=True)))


def _inserted(shape: Sequence[int], other: Sequence[int]) -> int | None:
    """The axis of size 1 by which a shape is longer than another."""
    if len(shape) != len(other) + 1:
        return None
    return next((k for k in range(len(shape)) if shape[k] == 1 and [*shape[:k], *shape[k + 1 :]] == list(other)), None)


def _arguments(node: Node, inputs: Sequence[Text], float_dtype: str) -> list[str]:
    """The arguments of a call in the order of the signature, defaults left out."""
    op = node.op
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
        elif p.name in node.attrs and not _goes_without_saying(node, p, float_dtype):
            value = node.attrs[p.name]
            if p.kind == "axes" and value is not None and len(value) == 1:
                value = value[0]
            text = f'"{value}"' if p.kind == "string" else attribute(value)
            shown.append(text if p.default is None else f"{p.name}={text}")
    return shown


def _goes_without_saying(node: Node, p: Parameter, float_dtype: str) -> bool:
    """Whether a parameter that is left out means the value that a node has."""
    value, default = node.attrs[p.name], node.op.defaults.get(p.name)
    if p.default is not None and value == default:
        return True
    if p.name == "axis" and p.kind == "axes":
        return tuple(value) == tuple(range(node.inputs[0].rank))
    if p.name == "axis" and default == -1:
        return bool(value == node.inputs[0].rank - 1)
    return p.kind == "dtype" and value == float_dtype and p.default is not None and node.op.name != "arange"


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


def _reshape(node: Node, inputs: Sequence[Text]) -> Text | None:
    """An axis of size 1 is put in or taken out."""
    before, after = node.inputs[0].shape, node.shape
    if (axis := _inserted(after, before)) is not None:
        return Text(f"expand_dims({inputs[0].text}, {axis})")
    if (axis := _inserted(before, after)) is not None:
        return Text(f"squeeze({inputs[0].text}, {axis})")
    return None


def _stack(node: Node, inputs: Sequence[Text]) -> Text | None:
    if node.attrs["axis"] or all([x.op.name in ("literal", "array") for x in node.inputs]):
        return None
    return Text(f"[{', '.join(t.text for t in inputs)}]")


def _broadcast_to(node: Node, inputs: Sequence[Text]) -> Text | None:
    return None if node.inputs[0].shape else Text(f"full({attribute(node.attrs['shape'])}, {inputs[0].text})")


def _transpose(node: Node, inputs: Sequence[Text]) -> Text | None:
    reversed_ = tuple(node.attrs["axes"]) == tuple(reversed(range(node.rank)))
    return Text(f"{inputs[0].at_least(POSTFIX)}.T", POSTFIX) if reversed_ else None


def _index(node: Node, inputs: Sequence[Text]) -> Text:
    items = items_text(node.attrs["items"], node.inputs[0].shape)
    return Text(f"{inputs[0].at_least(POSTFIX)}[{items}]", POSTFIX)


def _unindex(node: Node, inputs: Sequence[Text]) -> Text | None:
    if (paddings := _paddings(node)) is None:
        return None
    border = ", false" if node.dtype == "bool" else ""  # the default is a number
    return Text(f"pad({inputs[0].text}, {paddings}{border})")


def _contraction(node: Node, inputs: Sequence[Text]) -> Text:
    return Text(f'einsum("{equation(node)}", {", ".join(t.text for t in inputs)})')


def _diagonal(node: Node, inputs: Sequence[Text]) -> Text:
    k = node.attrs["k"]
    return Text(f"diag({inputs[0].text}" + (f", {k})" if k else ")"))


WORDS: Mapping[str, Word] = {
    "pow": lambda node, x: Text(f"{x[0].at_least(POSTFIX)}^{x[1].at_least(MINUS)}", POWER),
    "neg": lambda node, x: Text(f"-{x[0].at_least(MINUS)}", MINUS),
    "logical_not": lambda node, x: Text(f"not {x[0].at_least(NOT)}", NOT),
    "recip_no_nan": lambda node, x: Text(f"divide_no_nan(1, {x[0].text})"),
    "reshape": _reshape, "stack": _stack, "broadcast_to": _broadcast_to, "transpose": _transpose, "index": _index,
    "unindex": _unindex, "contraction": _contraction, "diagonal": _diagonal,
    "loop": lambda node, x: Text(f"loop({', '.join([t.text for t in x])}, steps={node.attrs['body'].count})"),
    "custom_gradient": lambda node, x: x[0], "solution": lambda node, x: Text(f"{node.attrs['system'].word}(f, {x[0].text})"),
    "embed_diagonal": lambda node, x: _diagonal(node, x) if node.inputs[0].rank == 1 else None,
}  # fmt: skip
"""Operations that have a form of their own, or a better name in some cases."""

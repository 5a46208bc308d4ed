"""Derivatives as a NumPy module: one function, which needs nothing but NumPy."""

from __future__ import annotations

import keyword
from collections.abc import Sequence
from textwrap import fill, indent
from typing import Any

from gradcli.graph.layout import Style, laid_out
from gradcli.graph.node import Node, cone
from gradcli.graph.ops.creation import array_of
from gradcli.graph.printing import MINUS, Text, number
from gradcli.graph.types import is_float, size_of
from gradcli.program.derived import Derived
from gradcli.report import numpy_words

SMALL = 12
"""Entries of an array up to which it stands in the signature as a default."""

RESERVED = {"np", "math", "gradient", "l", "I", "O"}
"""Names that the module needs, and those that linters take for digits."""


def render(derived: Derived) -> str:
    """A module with the function ``gradient``, whose defaults are the values of the program."""
    style = _NumPy(derived)
    body = [*style.declarations(), *style.formulas()]
    text = "\n".join(body)
    helpers = numpy_words.helpers(text)
    code = "\n\n\n".join([_head(derived), *helpers]) + "\n\n\n" if helpers else _head(derived) + "\n\n\n"
    module = code + style.signature() + "\n" + indent(style.documentation() + "\n" + text, "    ") + "\n"
    imports = ("import math\n\n" if "math." in module else "") + "import numpy as np"
    return module.replace("IMPORTS", imports, 1)


def _head(derived: Derived) -> str:
    return f'"""{_title(derived)}\n\nWritten by gradcli derive from {derived.source}.\n"""\n\nIMPORTS'


def _title(derived: Derived) -> str:
    of = " + ".join(derived.of)
    if not derived.order:
        return f"The value{'s' * (len(derived.of) > 1)} of {', '.join(derived.of)}."
    by = ", ".join(g.x for g in derived.gradients)
    summed = f"the sum of {of}" if derived.summed else of
    what = {1: "gradient", 2: "second derivative"}.get(derived.order, f"derivative of order {derived.order}")
    return f"The {what} of {summed} with respect to {by}."


class _NumPy(Style):
    """How NumPy writes operations and numbers."""

    def __init__(self, derived: Derived) -> None:
        super().__init__(short=14)
        self.derived = derived
        self.known = [g for g in derived.gradients if g.node is not None]
        self.spelled: dict[str, str] = {}
        names = [str(leaf.attrs["name"]) for leaf in derived.leaves] + [*derived.named, *(g.name for g in self.known)]
        for name in names:
            spelled = name
            while (
                keyword.iskeyword(spelled)
                or spelled in RESERVED
                or spelled.startswith("_")
                or self._other(name, spelled)
            ):
                spelled = spelled.lstrip("_") + "_"
            self.spelled[name] = spelled
        self.names = {node: self.spelled[name] for name, node in derived.named.items() if node.op.name != "leaf"}
        for g in self.known:
            if g.node is not None and g.node.op.name != "leaf":
                self.names.setdefault(g.node, self.spelled[g.name])
        roots = [g.node for g in self.known if g.node is not None]
        needed = self._needed(roots)
        values = [v for leaf in needed if isinstance(v := derived.initial[leaf], Node)]
        taken = list(self.spelled.values())
        self.values = laid_out([*values, *needed], {}, self, taken, whole=set(values))
        self.used = needed
        self.layout = laid_out(roots, self.names, self, [*taken, *(line.name for line in self.values.lines)])

    def _needed(self, roots: Sequence[Node]) -> list[Node]:
        """The leaves that the formulas use, and those that their values use."""
        found: set[Node] = set()
        todo = list(roots)
        while todo:
            new = [x for x in cone(todo) if x.op.name == "leaf" and x not in found]
            found.update(new)
            todo = [v for leaf in new if isinstance(v := self.derived.initial[leaf], Node)]
        return [leaf for leaf in self.derived.leaves if leaf in found]

    def _other(self, name: str, spelled: str) -> bool:
        return any(spelled == s and name != n for n, s in self.spelled.items())

    # the style

    def leaf(self, node: Node) -> Text:
        return Text(self.spelled[str(node.attrs["name"])])

    def apply(self, node: Node, operands: Sequence[Text]) -> Text:
        if node.op.name == "literal":
            return _number(node)
        if node.op.name == "array":
            values = array_of(node)
            return Text(f"np.array({_nested(values)}, dtype=np.{_type(node.dtype)})")
        return numpy_words.apply(node, operands)

    def literal(self, literal: Node, user: Node, position: int) -> Text | None:
        """A plain number beside an array of its dtype, which it takes; else a scalar of NumPy."""
        met = [x for x in user.inputs if x.op.name != "literal"]
        arithmetic = user.op.name in numpy_words.INFIX or user.op.name == "pow"
        return _plain(literal) if arithmetic and met else _number(literal)

    # the parts of the function

    def signature(self) -> str:
        """Parameters without a value of their own first."""
        derived = self.derived
        required = [leaf for leaf in derived.leaves if derived.initial[leaf] is None]
        parameters = [self.leaf(leaf).text for leaf in required if leaf in self.used]
        parameters += [f"{self.leaf(leaf).text}=None" for leaf in required if leaf not in self.used]
        parameters += [
            f"{self.leaf(leaf).text}={self._default(leaf) or 'None'}" for leaf in derived.leaves if leaf not in required
        ]
        line = f"def gradient({', '.join(parameters)}):"
        if len(line) > 100:
            line = "def gradient(\n" + "".join(f"    {p},\n" for p in parameters) + "):"
        return '@np.errstate(all="ignore")\n' + line

    def _default(self, leaf: Node) -> str | None:
        """A default that fits into the signature; None where it is computed in the function."""
        initial: Any = self.derived.initial[leaf]
        if isinstance(initial, Node):
            if initial.op.name == "literal":
                return _tuples(initial.attrs["value"])
            if initial.op.name != "array" or size_of(initial.shape) > SMALL:
                return None
            initial = array_of(initial)
        return _tuples(initial.tolist()) if 0 < initial.size <= SMALL else None

    def documentation(self) -> str:
        rows = [f"{self.leaf(leaf).text}: {leaf.dtype}, shape {list(leaf.shape)}" for leaf in self.derived.leaves]
        given = [
            "Parameters are given as anything that NumPy takes for an array; left out, they have the program's values."
        ]
        entries = ", ".join(f'"{g.x if self.derived.order else g.name}"' for g in self.derived.gradients)
        reasons = [f"    {g.x} is None: {g.reason.with_line()}" for g in self.derived.gradients if g.reason is not None]
        returns = fill(f"Returns a dict with {entries}: arrays of the shapes of the parameters, or None where there is no gradient."
                       if self.derived.order else f"Returns a dict with {entries}.", 100)  # fmt: skip
        lines = [
            f'"""{_title(self.derived)}',
            "",
            *given,
            "",
            *(f"    {row}" for row in rows),
            "",
            returns,
            *reasons,
            '"""',
        ]
        return "\n".join(line.replace("\\", "\\\\") for line in lines)

    def declarations(self) -> list[str]:
        """Parameters as arrays of their dtypes and shapes; values that are computed, where none is given."""
        lines: list[str] = []
        for line in self.values.lines:
            if line.node.op.name != "leaf":
                lines.append(f"{line.name} = {line.text.text}")
                continue
            leaf, name, initial = line.node, line.name, self.derived.initial[line.node]
            if initial is not None and self._default(leaf) is None:
                value = (
                    self.values.texts[initial].text if isinstance(initial, Node) else f"np.array({_nested(initial)})"
                )
                lines += [f"if {name} is None:", f"    {name} = {value}"]
            shape = f"({leaf.shape[0]},)" if leaf.rank == 1 else str(tuple(leaf.shape))
            lines.append(f"{name} = np.broadcast_to(np.asarray({name}, dtype=np.{_type(leaf.dtype)}), {shape})")
        return lines

    def formulas(self) -> list[str]:
        lines = [f"{line.name} = {line.text.text}" for line in self.layout.lines if line.node.op.name != "leaf"]
        entries: list[str] = []
        for g in self.derived.gradients:
            key = g.x if self.derived.order else g.name
            entries.append(f'"{key}": None' if g.node is None else f'"{key}": np.array({self._result(g.node)})')
        answer = "return {" + ", ".join(entries) + "}"
        if len(answer) > 100:
            answer = "return {\n" + "".join(f"    {entry},\n" for entry in entries) + "}"
        return [*lines, *answer.split("\n")]

    def _result(self, node: Node) -> str:
        name = self.names.get(node)
        return name if name is not None else self.layout.texts[node].text


def _type(dtype: str) -> str:
    return "bool_" if dtype == "bool" else dtype


def _plain(literal: Node) -> Text:
    value = literal.attrs["value"]
    if isinstance(value, bool):
        return Text(str(value))
    if is_float(literal.dtype):
        if value != value or value - value != 0:
            return Text("-np.inf", MINUS) if value < 0 else Text("np.nan" if value != value else "np.inf")
        if value == int(value) and abs(value) < 1e6 and str(value) != "-0.0":
            return number(int(value), "int64")
    return number(value, literal.dtype)


def _number(literal: Node) -> Text:
    if literal.dtype == "bool":
        return Text("np.True_" if literal.attrs["value"] else "np.False_")
    return Text(f"np.{literal.dtype}({_plain(literal).text})")


def _tuples(values: Any) -> str:
    if isinstance(values, list):
        return "(" + ", ".join(map(_tuples, values)) + ("," if len(values) == 1 else "") + ")"
    return repr(values).replace("nan", "np.nan").replace("inf", "np.inf")


def _nested(values: Any) -> str:
    text = repr(values.tolist())
    return text.replace("nan", "np.nan").replace("inf", "np.inf")

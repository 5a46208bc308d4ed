"""Derivatives as a NumPy module: one function, which needs nothing but NumPy, and SciPy for what only SciPy has."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import count
from textwrap import fill
from typing import Any

import numpy as np

from gradcli.features.derive import numpy_words
from gradcli.features.derive.answer import Derived
from gradcli.features.derive.module_loops import Block, Loops, as_for
from gradcli.features.derive.numpy_words import dtype, value, written
from gradcli.features.derive.title import title
from gradcli.graph.layout import Layout, Style, laid_out
from gradcli.graph.node import Node, cone
from gradcli.graph.ops.creation import array_of, loop_result, loop_run
from gradcli.graph.ops.words.numpy import WORDS, Word
from gradcli.graph.printing import Text, number
from gradcli.graph.types import is_float, size_of
from gradcli.language.definitions import as_runs
from gradcli.tuples import NamedTuple

SMALL = 12
"""Entries of an array up to which it stands in the signature as a default."""

WIDEST = 100
"""Characters from which a signature or a dictionary has a line for each entry."""

RESERVED = {"np", "math", "scipy", "jax", "jnp", "gradient", "l", "I", "O"}
"""Names that the module needs, and those that linters take for digits."""

RESERVED_IN_LOOPS = {"range", "reversed"}
"""Functions of Python that loops call."""


class Library(NamedTuple):
    """What a module is written for: what it is called, its words, its loops, and what stands where ``np`` would."""

    name: str
    words: Mapping[str, Word]
    loop: Callable[[Block, Callable[[str], str]], list[str]]
    prefix: str
    decorator: str


NUMPY = Library("NumPy", WORDS, as_for, "np", '@np.errstate(all="ignore")\n')


def render(derived: Derived, library: Library = NUMPY) -> str:
    """A module with the function ``gradient``, whose defaults are the values of the program.

    Where each formula works entry by entry, parameters may have any shapes that broadcast. Raises :class:`UnwrittenError`
    for an operation that the library has no words for.
    """
    style = _Module(derived, library)
    lines = [*style.declarations(), *style.formulas()]
    helpers = numpy_words.helpers(style.needs)
    head = _docstring([title(derived), "", f"Written by gradcli derive from {' '.join(derived.source.split())}.", ""])
    function = [
        style.code(style.signature()),
        _docstring(style.documentation(), "    "),
        *[f"    {style.code(line)}" for line in lines],
    ]
    parts = [f"{head}\n\n{style.imports()}", *map(style.code, helpers), "\n".join(function)]
    return "\n\n\n".join(parts) + "\n"


def _docstring(lines: Sequence[str], indent: str = "") -> str:
    """Lines as a string literal at the start of a module or function: whatever they hold, it ends where they do."""
    first, *rest, last = lines
    text = "\n".join([first, *(indent + line if line else "" for line in rest), indent + last])
    return indent + ast.unparse(ast.Module([ast.Expr(ast.Constant(text))], []))


def _spelled(names: Iterable[str], has_loops: bool) -> dict[str, str]:
    """How Python spells names, each in its own way: most as they are, then the others with underscores behind."""
    names = list(dict.fromkeys(names))
    reserved = RESERVED_IN_LOOPS if has_loops else set()
    spelled = {name: name for name in names if _is_free(name) and name not in reserved}
    taken = {*spelled, *reserved}
    for name in names:
        if name not in spelled:
            base = name.lstrip("_")
            new = (base if base.isidentifier() else f"v{base}") + "_"
            while new in taken or not _is_free(new):
                new += "_"
            taken.add(new)
            spelled[name] = new
    return spelled


def _is_free(name: str) -> bool:
    """Whether a name means nothing else in the module; helpers begin with an underscore."""
    return not (keyword.iskeyword(name) or name in RESERVED or name.startswith("_"))


class _Module(Style):
    """How NumPy, or a library like it, writes operations and numbers."""

    def __init__(self, derived: Derived, library: Library) -> None:
        super().__init__(short=14)
        derived = _with_runs(derived) if derived.has_loops else derived
        self.derived = derived
        self.library = library
        self.known = [g for g in derived.gradients if g.node is not None]
        self.needs = numpy_words.Needs(library.words)
        leaves = [str(leaf.attrs["name"]) for leaf in derived.leaves]
        self.spelled = _spelled([*leaves, *derived.named, *(g.name for g in self.known)], derived.has_loops)
        self.names = {node: self.spelled[name] for name, node in derived.named.items() if node.op.name != "leaf"}
        for g in self.known:
            if g.node is not None and g.node.op.name != "leaf":
                self.names.setdefault(g.node, self.spelled[g.name])
        roots = [g.node for g in self.known if g.node is not None]
        self.used = self._needed(roots)
        initial = [derived.initial[leaf] for leaf in self.used]
        values = [value for value in initial if isinstance(value, Node)]
        self.taken = set(self.spelled.values())
        self.loops = Loops(self._unused, self._in_step, library.loop, derived.float_dtype)
        self.values = self._laid_out([*values, *self.used], {}, whole=set(values))
        self.taken |= {line.name for line in self.values.lines}
        self.layout = self._laid_out(roots, self.names, most=derived.parts)
        shapes = {leaf.shape for leaf in self.used} - {()} or {()}
        self.alike = [leaf for leaf in self.used if leaf.shape in shapes]
        self.entrywise = len(shapes) == 1 and bool(self.used) and self._is_entrywise(roots)
        """Whether formulas work entry by entry on arrays of one shape: then any shapes do that broadcast."""

    def _is_entrywise(self, roots: Sequence[Node]) -> bool:
        """Whether formulas do the same with more entries, and scalars beside arrays are not what is differentiated by."""
        others = {str(leaf.attrs["name"]) for leaf in self.used if leaf not in self.alike}
        wrt = [x for g in self.derived.gradients for x in g.wrt]
        return others.isdisjoint(wrt) and all([_is_free_of_shapes(x) for x in cone(roots)])

    def _needed(self, roots: Sequence[Node]) -> list[Node]:
        """The leaves that the formulas use, and those that their values use."""
        found: set[Node] = set()
        todo = list(roots)
        while todo:
            new = [x for x in cone(todo) if x.op.name == "leaf" and x not in found]
            found.update(new)
            todo = [v for leaf in new if isinstance(v := self.derived.initial[leaf], Node)]
        return [leaf for leaf in self.derived.leaves if leaf in found]

    def _laid_out(
        self,
        roots: Sequence[Node],
        names: Mapping[Node, str],
        whole: Collection[Node] = (),
        most: int | None = None,
    ) -> Layout:
        """The lines that compute some nodes; each run of a loop is one of them."""
        runs = {node: f"run {k}" for k, node in enumerate(cone(roots)) if node.op is loop_run}
        return laid_out(roots, {**names, **runs}, self, self.taken, whole, most)

    def _in_step(self, roots: Sequence[Node]) -> Layout:
        return self._laid_out(roots, {})

    def _unused(self, name: str) -> str:
        """A name for something of a loop, which is not one that a part of a formula may get."""
        is_free = _is_free(name) and name not in RESERVED_IN_LOOPS
        base = name if is_free and not re.fullmatch(r"t\d*", name) else "s"
        found = next(own for k in count() if (own := f"{base}{k or ''}") not in self.taken)
        self.taken.add(found)
        return found

    # the style

    def leaf(self, node: Node) -> Text:
        name = str(node.attrs["name"])
        return Text(name if node.attrs["kind"] == "step" else self.spelled[name])

    def apply(self, node: Node, operands: Sequence[Text]) -> Text:
        if node.op is loop_run:
            self.needs.imports |= {"jax"} if self.library.prefix != "np" else set()
            return self.loops.run(node, operands)
        if node.op is loop_result:
            return self.loops.result(node)
        if node.op.name == "literal":
            return _number(node)
        if node.op.name == "array":
            return Text(f"np.array({_nested(array_of(node))}, dtype={ast.unparse(dtype(node.dtype))})")
        return numpy_words.apply(node, operands, self.needs)

    def literal(self, literal: Node, user: Node, position: int) -> Text | None:
        """A plain number beside an array of its dtype, which it takes; else a scalar of NumPy."""
        met = [x for x in user.inputs if x.op.name != "literal"]
        # Between operands of a sign a plain number takes the dtype of what it meets.
        return _plain(literal) if user.op.symbol and met else _number(literal)

    # the parts of the module

    def code(self, text: str) -> str:
        """A piece of the module that is not text of a user's, for the library."""
        if self.library.prefix == "np":
            return text
        text = re.sub(r"(?<![\w.])np\.(True|False)_", r"np.bool_(\1)", text)
        text = re.sub(r"(?<![\w.])np\.", f"{self.library.prefix}.", text)
        return re.sub(r"(?<![\w.])_host\.", "np.", text)

    def imports(self) -> str:
        """The lines that import what the module needs."""
        needed = self.needs.imports
        lines = ["import math", ""] if "math" in needed else []
        if self.library.prefix == "np":
            lines += ["import numpy as np", *["import scipy.special"] * ("scipy" in needed)]
            return "\n".join(lines)
        has_64_bits = not {"float64", "int64"}.isdisjoint([x.dtype for x in cone(self.derived.roots)])
        lines += ["import jax"] * ("jax" in needed or has_64_bits)
        lines += ["import jax.numpy as jnp", *["import numpy as np"] * ("_host" in needed)]
        if has_64_bits:
            lines += ["", 'jax.config.update("jax_enable_x64", True)']
        return "\n".join(lines)

    def signature(self) -> str:
        """Parameters without a value of their own first; data by name only."""
        derived = self.derived
        data = [leaf for leaf in derived.data if leaf in self.used]
        required = [leaf for leaf in derived.leaves if derived.initial[leaf] is None and leaf not in derived.data]
        given = [leaf for leaf in derived.leaves if leaf not in [*required, *derived.data]]
        parameters = [self.leaf(leaf).text for leaf in required if leaf in self.used]
        parameters += [f"{self.leaf(leaf).text}=None" for leaf in required if leaf not in self.used]
        parameters += [f"{self.leaf(leaf).text}={self._default(leaf) or 'None'}" for leaf in given]
        parameters += ["*", *[self.leaf(leaf).text for leaf in data]] if data else []
        line = f"def gradient({', '.join(parameters)}):"
        if len(line) > WIDEST:
            line = "def gradient(\n" + "".join(f"    {p},\n" for p in parameters) + "):"
        return self.library.decorator + line

    def _default(self, leaf: Node) -> str | None:
        """A default that fits into the signature; None where it is computed in the function."""
        initial: Any = self.derived.initial[leaf]
        if isinstance(initial, Node):
            if initial.op.name == "literal":
                return ast.unparse(value(initial.attrs["value"]))
            if initial.op.name != "array" or size_of(initial.shape) > SMALL:
                return None
            initial = array_of(initial)
        return ast.unparse(value(_tuples(initial.tolist()))) if 0 < initial.size <= SMALL else None

    def documentation(self) -> list[str]:
        data = self.derived.data
        rows = [
            f"{self.leaf(leaf).text}: {leaf.dtype}, shape {list(leaf.shape)}" + ", data of the program" * (leaf in data)
            for leaf in self.derived.leaves
            if leaf in self.used or leaf not in data
        ]
        given = f"Parameters are given as anything that {self.library.name} takes for an array; left out, they have the program's values{', but for its data' * bool(data)}."
        if self.entrywise:
            given += " They may have any shapes that broadcast: each entry is a point of its own."
        entries = ", ".join(f'"{self.derived.key(g)}"' for g in self.derived.gradients)
        reasons = [f"    {g.x} is None: {g.reason.with_line()}" for g in self.derived.gradients if g.reason is not None]
        returns = (f"Returns a dict with {entries}: arrays of the shapes of the parameters, or None where there is no gradient."
                   if self.derived.order else f"Returns a dict with {entries}.")  # fmt: skip
        shown = [f"    {row}" for row in rows]
        return [
            title(self.derived),
            "",
            *fill(given, 100).split("\n"),
            "",
            *shown,
            "",
            *fill(returns, 100).split("\n"),
            *reasons,
            "",
        ]

    def declarations(self) -> list[str]:
        """Parameters as arrays of their dtypes and shapes; values that are computed, where none is given."""
        lines: list[str] = []
        for line in self.values.lines:
            if line.node.op.name != "leaf":
                lines += self.loops.lines.get(line.node) or [f"{line.name} = {line.text.text}"]
                continue
            leaf, name, initial = line.node, line.name, self.derived.initial[line.node]
            if initial is not None and self._default(leaf) is None:
                given = (
                    self.values.texts[initial].text if isinstance(initial, Node) else f"np.array({_nested(initial)})"
                )
                lines += [f"if {name} is None:", f"    {name} = {given}"]
            if self.entrywise:
                converted = written("np.asarray(x, dtype=dtype)", x=ast.Name(name, ast.Load()), dtype=dtype(leaf.dtype))
                lines.append(f"{name} = {converted}")
                continue
            converted = written(
                "np.broadcast_to(np.asarray(x, dtype=dtype), shape)",
                x=ast.Name(name, ast.Load()), dtype=dtype(leaf.dtype), shape=value(tuple(leaf.shape)),
            )  # fmt: skip
            lines.append(f"{name} = {converted}")
        if self.entrywise and len(self.alike) > 1:
            names = ", ".join(self.leaf(leaf).text for leaf in self.alike)
            lines.append(f"{names} = np.broadcast_arrays({names})")
        return lines

    def formulas(self) -> list[str]:
        lines = self.loops.laid(self.layout)
        entries: list[str] = []
        for g in self.derived.gradients:
            key = f'"{self.derived.key(g)}"'
            entries.append(f"{key}: None" if g.node is None else f"{key}: {self._result(g.node)}")
        answer = "return {" + ", ".join(entries) + "}"
        if len(answer) > WIDEST:
            answer = "return {\n" + "".join(f"    {entry},\n" for entry in entries) + "}"
        return [*lines, *answer.split("\n")]

    def _result(self, node: Node) -> str:
        name = self.names.get(node)
        text = name if name is not None else self.layout.texts[node].text
        if self.entrywise and node.op.name == "literal":
            return f"np.full({self.leaf(self.alike[0]).text}.shape, {text})"
        return f"np.array({text})"


def _with_runs(derived: Derived) -> Derived:
    """The same with results of one loop as results of one run of it."""
    values = [v for v in derived.initial.values() if isinstance(v, Node)]
    new = as_runs([*derived.roots, *values])
    return derived._replace(
        gradients=[g if g.node is None else g._replace(node=new[g.node]) for g in derived.gradients],
        named={name: new[node] for name, node in derived.named.items()},
        initial={leaf: new[v] if isinstance(v, Node) else v for leaf, v in derived.initial.items()},
    )


def _is_free_of_shapes(node: Node) -> bool:
    """Whether an operation does the same with more entries."""
    return node.op.name in ("leaf", "literal") or node.op.entrywise


def _plain(literal: Node) -> Text:
    entry = literal.attrs["value"]
    is_whole = is_float(literal.dtype) and abs(entry) < 1e6 and entry == int(entry) and str(entry) != "-0.0"
    if is_whole:
        return number(int(entry), "int64")
    return Text(ast.unparse(value(entry)))


def _number(literal: Node) -> Text:
    if literal.dtype == "bool":
        return Text("np.True_" if literal.attrs["value"] else "np.False_")
    return Text(written("dtype(x)", dtype=dtype(literal.dtype), x=numpy_words.tree(_plain(literal).text)))


def _tuples(entry: Any) -> Any:
    return tuple(map(_tuples, entry)) if isinstance(entry, list) else entry


def _nested(values: Any) -> str:
    """An array as nested lists. Finite numbers, perhaps millions, have Python's own text."""
    entries = values.tolist()
    is_plain = values.dtype.kind != "f" or bool(np.isfinite(values).all())
    return repr(entries) if is_plain else ast.unparse(value(entries))

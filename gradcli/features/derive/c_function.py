"""Derivatives as C99: one function of numbers and small arrays, which allocates nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np

from gradcli.diagnostics import GradcliError
from gradcli.features.derive.answer import Derived
from gradcli.features.derive.c_loops import Loops
from gradcli.features.derive.derivatives import Gradient
from gradcli.features.derive.entrywise import entrywise
from gradcli.features.derive.title import title
from gradcli.features.derive.unwritten import UnwrittenError
from gradcli.graph.entries import Entries
from gradcli.graph.layout import Layout, Style, laid_out
from gradcli.graph.node import Node, cone
from gradcli.graph.ops.creation import in_words, loop_result, make_leaf
from gradcli.graph.ops.words import c
from gradcli.graph.printing import Text
from gradcli.graph.types import size_of
from gradcli.language.definitions import as_runs
from gradcli.report.quoting import c_comment
from gradcli.rewrite.written import Written

LETTERS = ("i", "kept", "next", "row", "s")
"""Names in loops that the program has not given, which have numbers behind."""


def _names(text: str) -> set[str]:
    return set(text.split())


KEYWORDS = _names(
    "auto bool break case char const continue default do double else enum extern false float for goto if inline int long main"
    " register restrict return short signed sizeof static struct switch true typedef union unsigned void volatile while asm"
    " typeof complex imaginary"
)
"""What C has taken; ``bool`` is a macro there, and compilers warn of a ``main`` that is not a function."""

MATH = _names(
    "acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs fdim floor fma fmax fmin fmod"
    " frexp hypot ilogb ldexp lgamma llrint llround log log10 log1p log2 logb lrint lround modf nan nearbyint nextafter nexttoward"
    " pow remainder remquo rint round scalbln scalbn sin sinh sqrt tan tanh tgamma trunc"
)
MACROS = _names(
    "NAN INFINITY HUGE_VAL HUGE_VALF HUGE_VALL FP_INFINITE FP_NAN FP_NORMAL FP_SUBNORMAL FP_ZERO FP_ILOGB0 FP_ILOGBNAN FP_FAST_FMA"
    " MATH_ERRNO MATH_ERREXCEPT math_errhandling fpclassify isfinite isinf isnan isnormal signbit isgreater isgreaterequal isless"
    " islessequal islessgreater isunordered float_t double_t int64_t int32_t INT64_MIN INT64_MAX INT32_MIN INT32_MAX"
)
RESERVED = {*KEYWORDS, *MATH, *(f"{name}{end}" for name in MATH for end in "fl"), *MACROS, "gradient"}


def render(derived: Derived, constants: Mapping[Node, Any]) -> str:
    """A file with the function ``gradient``, which gives the values and derivatives as a struct.

    ``constants`` are the values of constants that have one; variables, and constants without a value, are parameters.
    Raises :class:`UnwrittenError` for an operation that has no word in C, and GradcliError where arrays are too large to be
    written out.
    """
    return _C(derived, constants).text()


def spelled(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """How C spells names, each in its own way: in ASCII, and with underscores behind what C has taken."""
    used = {*RESERVED, *taken}
    found: dict[str, str] = {}
    names = list(dict.fromkeys(names))
    for name in sorted(names, key=lambda name: not _plain(name)):
        new = _ascii(name)
        while new in used:
            new += "_"
        used.add(new)
        found[name] = new
    return found


def _plain(name: str) -> bool:
    return _ascii(name) == name


def _ascii(name: str) -> str:
    """Letters of Greek by their names, others by their numbers; no underscore in front, which C keeps for itself."""
    new = "".join([letter if letter.isascii() else _letter(letter) for letter in name])
    return new if re.match("[A-Za-z]", new) else f"v{new}"


def _letter(letter: str) -> str:
    kind, _, word = unicodedata.name(letter, "").rpartition(" ")
    word = word.lower().replace("lamda", "lambda")
    if kind in ("GREEK SMALL LETTER", "GREEK CAPITAL LETTER"):
        return word.capitalize() if "CAPITAL" in kind else word
    return f"u{ord(letter):04x}"


class _C(Style):
    """How C writes operations on numbers, and the file around them."""

    def __init__(self, derived: Derived, constants: Mapping[Node, Any]) -> None:
        super().__init__(short=0)
        self.derived = derived
        self.constants = constants
        self.helpers: dict[str, str] = {}
        known = [(g, g.node) for g in derived.gradients if g.node is not None]
        below = {x for x in cone([node for _, node in known]) if x.op.name == "leaf"}
        leaves = [leaf for leaf in derived.leaves if leaf in below]
        names = [str(leaf.attrs["name"]) for leaf in leaves]
        self.spelled = spelled([*names, *derived.named])
        self.members = spelled([g.name for g, _ in known])
        _check_sizes([*[node for _, node in known], *leaves])
        self.taken = {*self.spelled.values(), *RESERVED}
        self.loops = Loops(self._unused, self._in_step, derived.float_dtype) if derived.has_loops else None
        roots = [*[node for _, node in known], *derived.named.values()]
        self._write(known, self._entries(roots, {leaf: self._parameter(leaf) for leaf in leaves}))
        words = self._words()
        self.leaves = [leaf for leaf in leaves if self.spelled[str(leaf.attrs["name"])] in words]

    def _entries(self, roots: Sequence[Node], parameters: Mapping[Node, Entries]) -> dict[Node, Entries]:
        """The entries of what is computed, as formulas of those of the parameters."""
        dtype = self.derived.float_dtype
        if self.loops is None:
            return entrywise(roots, parameters, dtype)
        runs = as_runs(roots)
        found = entrywise([runs[x] for x in roots], parameters, dtype, self.loops)
        return found | {x: found[runs[x]] for x in roots}

    def _words(self) -> set[str]:
        """Every name and number in the text of the function."""
        texts = [text for _, _, some in self.results for text in some]
        texts += [line.text.text for line in self.layout.lines if line.node.op.name != "leaf"]
        if self.loops is not None:
            texts += [text for some in self.loops.lines.values() for text in some]
        return set(re.findall(r"\w+", " ".join(texts)))

    def _parameter(self, leaf: Node) -> Entries:
        """The entries of a parameter: ``x``, or ``x[0]``, ``x[1]``, ….."""
        name = self.spelled[str(leaf.attrs["name"])]
        array = np.empty(size_of(leaf.shape), object)
        for i in range(array.size):
            text = f"{name}[{i}]" if leaf.shape else name
            array[i] = make_leaf(text, leaf.attrs["kind"], (), leaf.dtype, leaf.risky)
        return array.reshape(leaf.shape)

    def _write(self, known: Sequence[tuple[Gradient, Node]], found: Mapping[Node, Entries]) -> None:
        names: dict[Node, str] = {}
        taken = self.taken
        for name, node in self.derived.named.items():
            for i, entry in enumerate(found[node].ravel()):
                if entry.inputs and entry not in names:
                    own = self.spelled[name]
                    names[entry] = own if not node.shape else spelled([f"{own}_{i}"], taken)[f"{own}_{i}"]
                    taken.add(names[entry])
        roots = [entry for _, node in known for entry in found[node].ravel()]
        if self.loops is None and any(node.shape for node in found):  # what the entries leave to be simplified
            written = Written(roots, names, (), self.derived.float_dtype)
            roots, names = written.targets, {new: names[old] for old, new in written.names.items()}
        names |= self._runs(roots)
        self.layout = laid_out(roots, names, self, taken, most=self.derived.parts)
        texts = iter(self.layout.texts[x].text if x in self.layout.texts else self.literal(x, x, 0).text for x in roots)
        self.results = [(g, node, [next(texts) for _ in range(size_of(node.shape))]) for g, node in known]

    def _runs(self, roots: Sequence[Node]) -> dict[Node, str]:
        """Runs of loops have lines of their own."""
        return (
            {} if self.loops is None else {x: f"run {k}" for k, x in enumerate(cone(roots)) if x in self.loops.blocks}
        )

    def _in_step(self, roots: Sequence[Node]) -> Layout:
        return laid_out(roots, self._runs(roots), self, self.taken)

    def _unused(self, name: str) -> str:
        """A name of C for something of a loop."""
        found = spelled([name], self.taken)[name] if name not in LETTERS else ""
        for k in count(1):
            if found and found not in self.taken:
                break
            found = f"{name}{k}"
        self.taken.add(found)
        return found

    # the style

    def leaf(self, node: Node) -> Text:
        given = self.loops.given.get(node) if self.loops is not None else None
        return Text(given or str(node.attrs["name"]))

    def literal(self, literal: Node, user: Node, position: int) -> Text:
        return c.value(literal.attrs["value"], literal.dtype)

    def apply(self, node: Node, operands: Sequence[Text]) -> Text:
        if node.op.name == "literal":
            return self.literal(node, node, 0)
        if self.loops is not None and node in self.loops.blocks:
            return self.loops.write(node, operands)
        if node.op is loop_result:
            return Text(str(node.attrs["text"]))
        if node.op.written is not None:
            return self._in_words(node, operands)
        text = c.apply(node, operands, self._function)
        if text is None or node.shape:
            raise UnwrittenError(node)
        return text

    def _in_words(self, node: Node, operands: Sequence[Text]) -> Text:
        """An operation that only derivatives use, as a formula of the inputs that it is differentiated by."""
        root, stand_ins = in_words(node)
        texts = dict(zip(stand_ins, operands, strict=True))
        for x in cone([root], stop=stand_ins):
            if x not in texts:
                texts[x] = self.apply(x, [texts[i] for i in x.inputs])
        return texts[root]

    def _function(self, name: str, dtype: str) -> str:
        """The name of a function; what math.h lacks is noted to be defined."""
        return c.function(name, dtype, self.helpers)

    # the file

    def text(self) -> str:
        parameters, data = [], []
        for leaf in self.leaves:
            name, kind = self.spelled[str(leaf.attrs["name"])], c.TYPES[leaf.dtype]
            count = size_of(leaf.shape)
            if self._is_data(leaf):
                entries = [c.value(v, leaf.dtype).text for v in np.ravel(self.constants[leaf]).tolist()]
                data.append(f"static const {kind} {name}[{count}] = {c.listed(entries)};" if leaf.shape
                            else f"static const {kind} {name} = {entries[0]};")  # fmt: skip
            else:
                parameters.append(f"const {kind} {name}[{count}]" if leaf.shape else f"{kind} {name}")
        lines: list[str] = []
        for line in self.layout.lines:
            if self.loops is not None and line.node in self.loops.lines:
                lines += self.loops.lines[line.node]
            elif line.node.op.name != "leaf":
                lines.append(f"const {c.TYPES[line.node.dtype]} {line.name} = {line.text.text};")
        members, entries = [], []
        for g, node, texts in self.results:
            name = self.members[g.name]
            size = f"[{len(texts)}]" if node.shape else ""
            members.append(f"    {c.TYPES[node.dtype]} {name}{size};")
            entries.append(f".{name} = {c.listed(texts, 8) if node.shape else texts[0]}")
        head = f"struct gradient gradient({', '.join(parameters) or 'void'})"
        if len(head) > c.WIDEST:
            head = "struct gradient gradient(\n    " + ",\n    ".join(parameters) + ")"
        body = [*data, *lines, f"return (struct gradient){c.listed(entries, 4)};"]
        function = "\n".join([head, "{", *[f"    {line}" for line in body], "}"])
        struct = "\n".join(["struct gradient {", *members, "};"])
        parts = [struct, *self.helpers.values(), function]
        return "\n\n".join([self._comment(), self._includes(" ".join(parts)), *parts]) + "\n"

    def _is_data(self, leaf: Node) -> bool:
        """Whether it is a constant with a value, by which nothing is differentiated."""
        return leaf in self.constants and str(leaf.attrs["name"]) not in {
            x for g in self.derived.gradients for x in g.wrt
        }

    def _includes(self, code: str) -> str:
        needed = ["math.h", *["stdbool.h"] * bool(re.search(r"\b(bool|true|false)\b", code))]
        needed += ["stdint.h"] * bool(re.search(r"\bint(32|64)_t\b", code))
        return "\n".join(f"#include <{name}>" for name in needed)

    def _comment(self) -> str:
        derived = self.derived
        rows = [title(derived), "", f"Written by gradcli derive from {' '.join(derived.source.split())}.", ""]
        parameters: list[str] = []
        for leaf in self.leaves:
            if not self._is_data(leaf):
                name = str(leaf.attrs["name"])
                called = [f"`{name}`"] * (self.spelled[name] != name) + [f"shape {list(leaf.shape)}"] * bool(leaf.shape)
                if called:
                    parameters.append(f"{self.spelled[name]}: {', '.join(called)}")
        rows += [*parameters, ""] if parameters else []
        rows += [
            f"{self.members[g.name]}: {derived.said(g)}{_shape(node)}"
            for g, node, _ in self.results
            if g.wrt or derived.kind != "gradient"
        ]
        rows += [
            f"{derived.said(g)} is None: {g.reason.with_line()}" for g in derived.gradients if g.reason is not None
        ]
        first, *rest = rows
        return "\n".join([f"/* {c_comment(first)}", *[f" * {c_comment(row)}".rstrip() for row in rest], " */"])


def _check_sizes(nodes: Iterable[Node]) -> None:
    """Raise a ShapeError (GradcliError) for an array without entries, which C does not have."""
    if not all([size_of(node.shape) for node in nodes]):
        raise GradcliError(
            "ShapeError",
            "C has no arrays without entries, and this program has one",
            help="a module of arrays has them: `--format python`",
        )


def _shape(node: Node) -> str:
    return f", shape {list(node.shape)}" + ", row by row" * (node.rank > 1) if node.shape else ""

"""Lines that look alike, parsed once and turned into nodes by a function of what differs: names and numbers.

Programs of 100,000 statements are written by other programs, and their lines have few shapes. A line of a known shape
is neither parsed nor walked through as a tree, which is five times as fast. The tables stay the only definition of the
syntax: a shape becomes known when they have parsed a line of it, and everything but arithmetic and functions on scalars
of the program's precision goes the ordinary way, errors included. Without this module (``GRADCLI_WITHOUT=repeated``)
programs mean the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import Source
from gradcli.graph.node import NO_ATTRS, Node
from gradcli.language import syntax
from gradcli.language.scalars import Scalars, UnsuitableError, operands_of, operation_of
from gradcli.language.tables import Tables
from gradcli.language.values import Binding

if TYPE_CHECKING:
    from gradcli.language.elaborate import Elaborator

LONGEST_LINE = 500
PATIENCE = 1000
"""Lines of new shapes, above the number of those of known shapes, after which no more are looked for."""

Parse = Callable[[int, int], "syntax.Assignment | None"]


class Shape:
    """What lines have in common; ``functions`` are the names that they call."""

    __slots__ = ("builds", "functions", "parse", "tree")

    def __init__(self, tree: syntax.Assignment, parse: Parse) -> None:
        self.tree = tree
        self.parse = parse
        calls = [x for x in parts_of(tree.value) if isinstance(x, syntax.Call)]
        self.functions = {x.function.id for x in calls if isinstance(x.function, syntax.Name)}
        self.builds: dict[str, Build | None] = {}

    def build(self, dtype: str) -> Build | None:
        """What makes the nodes of a line in a program of this precision, None if that is for the ordinary way."""
        if dtype not in self.builds:
            self.builds[dtype] = compiled(self.tree.value, dtype)
        return self.builds[dtype]


class Repeated(syntax.Assignment):
    """An assignment in a line of a known shape; its tree is made when somebody looks at it."""

    __slots__ = ("shape", "words")

    def __init__(self, start: int, end: int, shape: Shape, words: list[str]) -> None:
        self.start = start
        self.end = end
        self.shape = shape
        self.words = words

    @property
    def targets(self) -> list[syntax.Name]:  # type: ignore[override]
        name = self.words[0]
        return [syntax.Name(self.start, self.start + len(name), name)]

    @property
    def value(self) -> syntax.Expression:  # type: ignore[override]
        tree = self.shape.parse(self.start, self.end)
        assert tree is not None
        return tree.value

    def quickly(self, e: Elaborator) -> bool:
        """Make the nodes and bind the name; False, with nothing done, where that is for the ordinary way."""
        name = self.words[0]
        shape, program = self.shape, e.program
        build = shape.build(e.float_dtype)
        if build is None or name in e.bound or not e.bound.keys().isdisjoint(shape.functions):
            return False
        if e.scalars is None:
            e.scalars = Scalars(e)
        try:
            node = build(e.scalars, self.words)
        except UnsuitableError:
            return False
        e.bound[name] = Binding(node, self.targets[0], len(e.bound))
        e.scalars[name] = program.names[name] = node
        program.definitions.append(name)
        program.lines.append(self)
        program.line_nodes += len(self.words)  # an operation for nearly every word
        program.last_of_lines = node.serial
        e.last = name
        return True

    def places(self, root: Node) -> Iterator[tuple[Node, tuple[int, int]]]:
        """Where in this line, whose value is ``root``, nodes stand."""
        todo = [(self.value, root)]
        while todo:
            x, made = todo.pop()
            yield made, (x.start, x.end)
            todo += zip(operands_of(x), made.inputs, strict=False)


class Lines:
    """The lines of a text, by shape: what stands between their names and numbers."""

    def __init__(self, source: Source, tables: Tables, parse: Parse) -> None:
        regexes = dict(tables["terminals"])
        # Names that are called belong to the shape.
        name = rf"(?>{regexes['NAME']})(?![ \t]*\()"
        self._split = re.compile(rf"(?<!\w)({name}|{regexes['NUMBER']})").split
        self._keywords = frozenset(tables["keywords"])
        self._text = source.text
        self._parse = parse
        self._shapes: dict[tuple[Any, ...], Shape | None] = {}
        self._seen: set[int] = set()
        self._patience = PATIENCE

    def at(self, start: int) -> Repeated | None:
        """The assignment that is the line from ``start`` on; None for what must be parsed."""
        end = self._text.find("\n", start)
        if not 0 < end - start < LONGEST_LINE or self._patience < 0:
            return None
        line = self._text[start:end]
        if "#" in line:
            line = line.partition("#")[0].rstrip(" \t")
            end = start + len(line)
        parts = self._split(line)
        words = parts[1::2]
        key = (*parts[::2], *[word < ":" for word in words])  # numbers are less, names are not
        shape = self._shapes.get(key)
        if shape is None:
            self._patience -= 1
            if key not in self._shapes:
                self._meet(key, start, end, words)
            return None
        if not line.isascii() or not self._keywords.isdisjoint(words):
            return None
        self._patience += 1
        return Repeated(start, end, shape, words)

    def _meet(self, key: tuple[Any, ...], start: int, end: int, words: list[str]) -> None:
        """Learn a shape, if it is seen for the second time."""
        mark = hash(key)
        if mark not in self._seen:
            self._seen.add(mark)
            return
        tree = self._parse(start, end)
        self._shapes[key] = None
        if tree is not None and tree.end == end and tree.targets[0].start == start and len(tree.targets) == 1:
            found = [x for x in parts_of(tree.value) if isinstance(x, (syntax.Name, syntax.Number))]
            places = [(x.start, x.end) for x in [tree.targets[0], *found]]
            if [self._text[a:b] for a, b in places] == words:
                self._shapes[key] = Shape(tree, self._parse)


def parts_of(expression: syntax.Expression) -> Iterator[syntax.Expression]:
    """The operations, names and numbers of an expression, operands before operations; others as they are."""
    todo = [(expression, False)]
    while todo:
        x, entered = todo.pop()
        inner = [] if entered else operands_of(x)
        if not inner:
            yield x
        else:
            todo.append((x, True))
            todo += [(operand, False) for operand in reversed(inner)]


# ---- from lines to nodes


Build = Callable[[Scalars, list[str]], Node]


def compiled(value: syntax.Expression, dtype: str) -> Build | None:
    """The function that makes the nodes of an expression from its words; None if some of it is not for this module."""
    scope: dict[str, Any] = {"Node": Node, "none": NO_ATTRS, "dtype": dtype}
    lines: list[str] = []
    stack: list[str] = []  # of names in the function; of numbers, what to look up
    words = 0
    for x in parts_of(value):
        if isinstance(x, (syntax.Name, syntax.Number)):
            words += 1
            stack.append(f"scalars[words[{words}]]" if isinstance(x, syntax.Name) else f"words[{words}]")
            continue
        count = len(operands_of(x))
        inputs = stack[len(stack) - count :]
        del stack[len(stack) - count :]
        numbers = [text.startswith(("words", "'-'")) for text in inputs]
        if isinstance(x, syntax.Unary) and x.operator == "-" and all(numbers):
            if not inputs[0].startswith("words"):
                return None  # two signs before a number
            stack.append(f"'-' + {inputs[0]}")
            continue
        try:
            op = operation_of(x)
        except UnsuitableError:
            return None
        if all(numbers):
            return None
        k = len(lines)
        given = [f"scalars[{text}]" if number else text for text, number in zip(inputs, numbers, strict=True)]
        names = [f"a{k}", f"b{k}"][:count]
        scope[f"op{k}"], scope[f"singular{k}"] = op, op.singular
        risky = [f"{name}.risky" for name, number in zip(names, numbers, strict=True) if not number]
        if op.singular is True:
            risky = ["True"]
        elif op.singular is not False:
            risky.append(f"singular{k}(({', '.join(names)},))")
        lines += [f"{name} = {text}" for name, text in zip(names, given, strict=True)]
        lines.append(f"n{k} = Node(op{k}, ({', '.join(names)},), none, (), dtype, {' or '.join(risky)})")
        stack.append(f"n{k}")
    (result,) = stack
    if not lines:
        return None
    exec("\n    ".join(["def build(scalars, words):", *lines, f"return {result}"]), scope)
    build: Build = scope["build"]
    return build

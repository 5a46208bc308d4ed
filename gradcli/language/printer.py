"""A graph as a program: text that parses back to the same graph."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import count
from math import isfinite
from typing import Any

from gradcli.graph.layout import Style, laid_out
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import Operation
from gradcli.graph.ops.creation import array_of, data_of, loop_run
from gradcli.graph.ops.words.language import apply
from gradcli.graph.printing import ATOM, MINUS, POWER, PRODUCT, Text, number, times_pi
from gradcli.graph.types import INTEGER_OF, is_float, promote
from gradcli.language.builtin import BINARY, OPERATIONS
from gradcli.language.definitions import Functions, with_functions
from gradcli.language.values import Elaborated


def print_program(program: Elaborated) -> str:
    """The text of an elaborated program: declarations, then definitions in the order in which they are computed."""
    named = {name: value for name, value in program.names.items() if isinstance(value, Node)}
    body = program_lines(program.float_dtype, named, list(named.values()), program.initial, short=0)
    tail = [f"output {', '.join(program.outputs)}"] if program.outputs else []
    return "\n".join([*body, *tail]) + "\n"


def program_lines(
    float_dtype: str,
    named: Mapping[str, Node],
    roots: Sequence[Node],
    initial: Mapping[Node, Any],
    taken: Iterable[str] = (),
    short: int = 12,
    most: int | None = None,
    folder: str | None = None,
) -> list[str]:
    """The dtype line, declarations and definitions for the roots.

    ``named`` gives nodes their names; a second name for a node becomes an alias. ``initial`` holds the values of leaves.
    ``short`` is the length up to which a part is written out where it is used more than once; ``most`` limits the lines
    of parts that have no name. Data of files below a ``folder`` is loaded as in a program there, other data written out.
    """
    named, roots = with_functions(named, roots)
    names: dict[Node, str] = {}
    for name, node in named.items():
        names.setdefault(node, node.attrs["name"] if node.op.name == "leaf" else name)
    leaves = [node for node in cone(roots) if node.op.name == "leaf"]
    taken = {*taken, *named, *(str(leaf.attrs["name"]) for leaf in leaves)}
    style = ProgramStyle(float_dtype, taken, short, folder)
    functions = style.functions = Functions(style, float_dtype, taken, style.number)
    names.update({node: functions.unpacked(node) for node in cone(roots) if node.op is loop_run})
    values = [v for leaf, v in initial.items() if isinstance(v, Node) and not _wider(leaf, float_dtype)]
    layout = laid_out([*values, *roots], names, style, taken, whole=set(values), most=most)
    for leaf, value in initial.items():
        if isinstance(value, Node) and _wider(leaf, float_dtype):
            # Its value is read with the declared precision.
            whole = ProgramStyle(leaf.dtype, taken, sys.maxsize, folder)
            layout.texts.update(laid_out([value], {}, whole, taken, whole=set(cone([value]))).texts)
    body: list[str] = []
    for line in layout.lines:
        if line.node.op.name == "leaf":
            body.append(declaration(line.node, initial.get(line.node), layout.texts, style))
        else:
            body += [*functions.before(line.node), f"{line.name} = {line.text.text}"]
    aliases = [f"{name} = {names[node]}" for name, node in named.items() if names[node] != name]
    head = [] if float_dtype == "float64" else [f"dtype {float_dtype}"]
    return [*head, *style.definitions.values(), *body, *aliases]


def declaration(leaf: Node, initial: Any, texts: Mapping[Node, Text], style: ProgramStyle) -> str:
    """A variable or constant with its value; dtype and shape where the value alone would not give them."""
    name, kind = leaf.attrs["name"], leaf.attrs["kind"]
    shape = f"[{', '.join(map(str, leaf.shape))}]" if leaf.shape else ""
    if initial is None:
        dtype = "" if leaf.dtype == style.float_dtype else leaf.dtype
        return f"{kind} {name}: {dtype}{shape}" if dtype or shape else f"{kind} {name}"
    if isinstance(initial, Node):
        same = (initial.dtype, initial.shape) == (leaf.dtype, leaf.shape)
        text, told = texts[initial].text, same and not _wider(leaf, style.float_dtype)
    else:
        text = _numbers(initial, leaf.dtype)
        told = leaf.dtype in style.told and initial.shape == leaf.shape and initial.size > 0
    return f"{kind} {name} = {text}" if told else f"{kind} {name}: {leaf.dtype}{shape} = {text}"


def _wider(leaf: Node, float_dtype: str) -> bool:
    return leaf.dtype == "float64" and float_dtype == "float32"


class ProgramStyle(Style):
    """How the language writes operations and numbers.

    Where the program has taken the name of an operation for something else, an alias or a function at the top of the
    program, one of ``definitions``, stands for it. With ``functions`` what a program calls functions for is a call again.
    """

    def __init__(
        self,
        float_dtype: str,
        taken: Collection[str],
        short: int,
        folder: str | None = None,
    ) -> None:
        super().__init__(short)
        self._folder = folder
        self.float_dtype = float_dtype
        self.told = (float_dtype, INTEGER_OF[float_dtype], "bool")
        self.taken = taken
        self.definitions: dict[str, str] = {}
        self.functions: Functions | None = None

    def leaf(self, node: Node) -> Text:
        return Text(str(node.attrs["name"]))

    def apply(self, node: Node, operands: Sequence[Text]) -> Text:
        if node.op.name == "literal":
            shown = self.number(node)
            return shown if node.dtype in self.told else Text(f"cast({shown.text}, {node.dtype})")
        if node.op.name == "array":
            return Text(self._loaded(node) or _array(node, self.told))
        if self.functions is not None and (call := self.functions.call(node, operands)) is not None:
            return call
        text = apply(node, operands, self.float_dtype)
        word = WORD.match(text.text) if text.binds == ATOM else None
        if word is None or word[1] not in self.taken:
            return text
        return Text(self._unshadowed(word[1]) + text.text[len(word[1]) :])

    def _loaded(self, node: Node) -> str | None:
        """The call that loads an array; None for one that is not of a file below the folder of the program."""
        data = data_of(node)
        if data is None or data.origin is None or self._folder is None or "load" in self.taken:
            return None
        path, key, missing = data.origin
        folder = os.path.join(os.path.realpath(self._folder), "")
        if not path.startswith(folder) or not (path + (key or "")).isprintable():
            return None
        given = [path.removeprefix(folder).replace(os.sep, "/"), *([] if key is None else [key])]
        options = f', missing="{missing}"' if missing else ""
        return f"load({', '.join(map(_string, given))}{options})"

    def number(self, literal: Node) -> Text:
        text = number(literal.attrs["value"], literal.dtype)
        for word, quotient in (("inf", "1/0"), ("nan", "0/0")):
            if text.text.endswith(word) and word in self.taken:
                return Text(text.text.replace(word, f"({quotient})"), text.binds)
        return text

    def _unshadowed(self, word: str) -> str:
        op = OPERATIONS[word]
        alias = next((name for name in (op.name, *op.aliases) if name not in self.taken), None)
        if alias is not None:
            return alias
        function = next(name for k in count(1) if (name := word + "_" * k) not in self.taken)
        parameters = [p.name for p in op.parameters if p.kind != "dtype"]
        arguments = ", ".join(
            p.name if not p.keyword_only else f"{p.name}={p.name}" for p in op.parameters if p.kind != "dtype"
        )
        self.definitions[word] = f"def {function}({', '.join(parameters)}) = {word}({arguments})"
        return function

    def literal(self, literal: Node, user: Node, position: int) -> Text | None:
        """A number takes the dtype of what it meets, else the program's own."""
        if literal.dtype == "bool":
            return self.number(literal)
        apart = user.op.apart
        if user.op.name in ("index", "transpose", "neg"):
            return None
        others = [
            x for i, x in enumerate(user.inputs) if i not in apart and (x.op.name != "literal" or x is not literal)
        ]
        met = [x.dtype for x in others if x.op.name != "literal"]
        if position in apart or not met:
            if is_arithmetic(user.op) or literal.dtype not in self.told:
                return None
            alone = user.op.accepts == "float" and position not in apart and literal.dtype == self.float_dtype
            return (self._brief(literal, alone=True) if alone else None) or self.number(literal)
        if promote(met) != literal.dtype:
            return None
        return self._brief(literal) or self.number(literal)

    def _brief(self, literal: Node, alone: bool = False) -> Text | None:
        """2 for 2.0, 1/3 for 0.3333333333333333 and pi/2, where something makes them floats."""
        value = literal.attrs["value"]
        if not is_float(literal.dtype) or not isfinite(value) or str(value) == "-0.0":
            return None
        if value == int(value):
            return number(int(value), "int64") if abs(value) < 1e6 else None
        if len(repr(value)) <= 8:
            return None
        part = Fraction(value).limit_denominator(1000)
        if part.numerator and part.numerator / part.denominator == value:
            return None if alone else Text(f"{part.numerator}/{part.denominator}", PRODUCT)
        if "pi" not in self.taken and literal.dtype == self.float_dtype and (found := times_pi(value)) is not None:
            c, k = found
            power = "pi" if k == 1 else f"pi^{k}"
            sign, top = "-" * (c < 0), abs(c.numerator)
            above = f"{sign}{power}" if top == 1 else f"{sign}{top}*{power}"
            text = above if c.denominator == 1 else f"{above}/{c.denominator}"
            return Text(
                text, ATOM if text == "pi" else POWER if text == power else MINUS if text == f"-{power}" else PRODUCT
            )
        return None


def is_arithmetic(op: Operation) -> bool:
    """Whether the language works it out at once where both operands are numbers."""
    return op.name in BINARY.values() and op.entrywise and op.accepts in ("number", "float")


def _string(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'


WORD = re.compile(r"(\w+)\(")


WIDEST = 100
"""Characters up to which the rows of a matrix stand on one line."""


def _array(node: Node, told: Sequence[str]) -> str:
    text = _numbers(array_of(node), node.dtype)
    return text if node.dtype in told else f"cast({text}, {node.dtype})"


def _numbers(values: Any, dtype: str) -> str:
    """An array as bracket literals; one without entries by its shape."""
    if values.size == 0 and values.ndim > 1:
        return f"zeros([{', '.join(map(str, values.shape))}], dtype={dtype})"
    if values.ndim == 0:
        return number(values.item(), dtype).text
    rows = [_numbers(row, dtype) for row in values]
    # Inside brackets a new line is a space.
    between = ",\n    " if values.ndim > 1 and sum(map(len, rows)) > WIDEST else ", "
    return "[" + between.join(rows) + "]"

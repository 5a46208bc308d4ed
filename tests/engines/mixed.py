"""Random programs of everything: every operation of the table, arrays that broadcast, and special values among the leaves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from random import Random

import gradcli
from gradcli.graph.node import Node
from gradcli.graph.operation import Operation, Parameter
from gradcli.graph.ops import table
from gradcli.graph.ops.creation import SPECIAL as WORDS
from gradcli.graph.types import is_float

Type = tuple[tuple[int, ...], str]
"""The shape and the dtype of a value."""

SHAPES: list[tuple[int, ...]] = [
    (), (), (), (2,), (3,), (2, 2), (2, 3), (1, 3), (3, 1), (2, 1, 2), (3, 3), (1,), (2, 2, 2), (0,), (0, 2),
]  # fmt: skip
SPECIAL = ["0.0", "-0.0", "inf", "-inf", "nan", "1e-200", "1e200", "5e-324", "1e-40", "-1e30", "1.0", "-1.0", "100.0"]
TIES = ["0.0", "1.0", "-1.0", "2.0", "0.5", "-0.5"]
PROMISES = {"regular"}
"""Flags by which a program promises what a random one does not keep."""
MOST_ENTRIES = 40
MOST_AXES = 4

FUNCTIONS = """\
def sq(a, b=2.0) = { c = a*a
    c + b*a }
def part(a) = where(a > 0, sqrt(a), a)
def both(a) = a*a, part(a),
def at(f, a, b=0.5) = { def g(c) = f(c) - b*c
    p, q = both(g(a))
    p + q*b }
def own(a, b=2.0) = a*b
tangent own(a, b, da) = sin(a)*da
def solved(a) = { def g(u) = u^3 + u - a
    root(g, 0.0*a) }
"""
ARITHMETIC = [
    "{a} + {b}",
    "{a} - {b}",
    "{a} * {b}",
    "{a} / {b}",
    "{a} ^ {b}",
    "-{a}",
    "{a}^2",
    "{a}^-1",
    "{a}^0.5",
    "{a}^3",
]
CALLS = [
    "sq({a})", "part({a})", "sq({a}, {b})", "iterate(part, {a}, 2)", "iterate(sq, {a}, 2)", "map(part, {a})", "stack(both({a}))",
    "concat(both({a}), 0)", "at(sq, {a})", "at(sin, {a}, {b})", "at(b=2, a={a}, f=part)",
    "own({a})", "own({a}, {b})", "own({b}, {a})", "solved({a})",
]  # fmt: skip
CHOICES = [
    "where({a} > {b}, {a}, {b})", "where({a} == {b}, {a}, 1/{b})", "where({a} <= {b}, {a}*{b}, sqrt({b}))",
    "where(isfinite({a}), {a}, {b})", "where({a} > 0 and not ({b} < 0), log({a}), {b})",
]  # fmt: skip
INDICES = ["[0]", "[-1]", "[::-1]", "[1:]", "[..., 0]", "[newaxis]", "[:, 0]", "[:, ::2]", "[[0, 0, 1]]", "[:, [1, 0]]"]
EQUATIONS = ["i,i->", "i,i->i", "ij,jk->ik", "ij->ji", "ij,ij->i", "i,j->ij", "ij->", "bij,bjk->bik", "ij,j->i"]

CALLED = {  # operations whose operands seldom fit by chance
    "conv1d": ["conv1d({a}*ones([4, 2]), {b}*ones([2, 2, 1]))", 'conv1d({a}*ones([3, 1]), {b}*ones([2, 1, 2]), padding="SAME")'],
    "conv2d": ["conv2d({a}*ones([3, 2, 1]), {b}*ones([2, 2, 1, 2]))", 'conv2d({a}*ones([2, 2, 1]), {b}*ones([1, 2, 1, 1]), 2, "SAME")'],
    "gammainc": ["gammainc(2.5, {a})"], "gammaincc": ["gammaincc(0.5, {a})"], "betainc": ["betainc(1.5, 2.0, {a})"],
    "spectral": ["spectral({a}*ones([2]), ({b}*ones([2, 2]) + ({b}*ones([2, 2])).T)*[[1.0, 0.3], [0.3, -2.0]])"],
    "singular_function": ["singular_function({a}*ones([2]), {b}*[[1.0, 0.3, 0.2], [-0.3, 2.0, 0.1]])"],
    "ravel_multi_index": ["({a}*ones([2, 3]))[[0, -1, 1], [2, 0, 0]]", "({a}*ones([2, 3]))[ravel_multi_index([[1], [1]], [1, 2])]"],
}  # fmt: skip


@cache
def type_of(expression: str, operands: tuple[tuple[str, Type], ...], dtype: str) -> Type | None:
    """The type of an expression of operands, None where there is none, or where it is large."""
    lines = [f"variable {name}: {kind}{list(shape)}" for name, (shape, kind) in operands]
    try:
        graph = gradcli.loads("\n".join([f"dtype {dtype}", FUNCTIONS, *lines, f"y = {expression}"])).graph
    except gradcli.GradcliError:
        return None
    y = graph.names["y"]
    if not isinstance(y, Node) or len(y.shape) > MOST_AXES:
        return None
    size = 1
    for n in y.shape:
        size *= n
    return (y.shape, y.dtype) if size <= MOST_ENTRIES else None


class Program:
    """A random program of one seed; ``text`` is its text, ``leaves`` and ``names`` hold the types of what it names."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.dtype = random.choice(["float64", "float64", "float32"])
        self.wild = random.choice([0.0, 0.0, 0.15, 0.4])
        self.pool = random.choice([OPERATIONS, OPERATIONS, ROUGH])
        self.due: Operation | None = OPERATIONS[seed % len(OPERATIONS)]
        self.names: dict[str, Type] = {}
        self.lines = [f"dtype {self.dtype}"] if self.dtype == "float32" or random.random() < 0.1 else []
        self.shapes = [random.choice(SHAPES) for _ in range(2)] if random.random() < 0.7 else [()]
        if self.due.family == "linear algebra":
            self.shapes = [random.choice([(2, 2), (3, 3), (2, 2, 2)])]
        self.variables = [f"v{i}" for i in range(random.randint(1, 3))]
        for name in self.variables:
            shape = random.choice(self.shapes)
            self._declare(f"variable {name}", name, (shape, self.dtype))
        if random.random() < 0.3:
            self._declare("constant k", "k", ((), self.integer))
        if random.random() < 0.2:
            self._declare("constant u", "u", (random.choice(self.shapes), self.dtype))
        if random.random() < 0.1:
            other = random.choice(["float32", "float64", "int32", "int64"])
            self._declare(f"variable w: {other}", "w", (random.choice(self.shapes), other))
            self.variables.append("w")
        self.lines += FUNCTIONS.rstrip().split("\n")
        kept: list[str] = []
        for i in range(random.randint(2, 9)):
            line = self._statement(f"n{i}")
            if line is not None:
                kept.append(line)
        self.lines += kept
        floats = [name for name, (_, dtype) in self.names.items() if name[0] == "n" and is_float(dtype)]
        last = floats[-1] if floats else "v0"
        self.lines.append(f"y = {last}" if random.random() < 0.5 else f"y = sum({last})")
        self.text = "\n".join(self.lines) + "\n"

    @property
    def integer(self) -> str:
        return "int32" if self.dtype == "float32" else "int64"

    # leaves

    def _declare(self, head: str, name: str, kind: Type) -> None:
        shape, dtype = kind
        if 0 in shape:
            self.lines.append(f"{head} = zeros({list(shape)}, dtype={dtype})")
        elif is_float(dtype):
            self.lines.append(f"{head} = {self._array(shape, self._float)}")
        elif head.startswith("variable w"):
            self.lines.append(f"{head}{list(shape) if shape else ''} = {self._array(shape, self._integer)}")
        else:
            self.lines.append(f"{head} = {self._array(shape, self._integer)}")
        if is_float(dtype) and head.startswith("variable w"):
            self.lines[-1] = self.lines[-1].replace(" =", f"{list(shape)} =" if shape else " =", 1)
        self.names[name] = (shape, dtype)

    def _array(self, shape: tuple[int, ...], entry: Callable[[], str]) -> str:
        if not shape:
            return entry()
        return "[" + ", ".join([self._array(shape[1:], entry) for _ in range(shape[0])]) + "]"

    def _float(self) -> str:
        if self.random.random() < self.wild:
            return self.random.choice(SPECIAL)
        if self.random.random() < 0.2:
            return self.random.choice(TIES)
        return str(self.random.randint(-2500, 2500) / 1000)

    def _integer(self) -> str:
        return str(self.random.choice([-3, -1, 0, 1, 2, 3, 7]))

    # statements

    def _statement(self, name: str) -> str | None:
        if self.random.random() < 0.1:
            return self._unpacked(name)
        for _ in range(20):
            expression, found = self._expression()
            if found is not None:
                self.names[name] = found
                return f"{name} = {expression}"
        return None

    def _unpacked(self, name: str) -> str | None:
        """The entries of an array, or the values of a function, by names of their own."""
        operand = self._operand(literal=False)
        shape, dtype = self.names[operand]
        if shape and 0 < shape[0] <= 3 and self.random.random() < 0.5:
            found: list[Type | None] = [(shape[1:], dtype)] * shape[0]
            value = operand
        else:
            known = ((operand, (shape, dtype)),)
            found = [type_of(f"{operand}*{operand}", known, self.dtype), type_of(f"part({operand})", known, self.dtype)]
            value = f"both({operand})"
        names = [f"{name}{letter}" for letter in "abc"[: len(found)]]
        if None in found:
            return None
        self.names.update({name: kind for name, kind in zip(names, found, strict=True) if kind is not None})
        return f"{', '.join(names)}{',' if len(names) == 1 else ''} = {value}"

    def _expression(self) -> tuple[str, Type | None]:
        random = self.random
        sort = random.random() if self.due is None else 1.0
        if sort < 0.08:
            return self._derivative()
        if sort < 0.30:
            text = random.choice(ARITHMETIC)
        elif sort < 0.38:
            text = random.choice(CALLS)
        elif sort < 0.48:
            text = random.choice(CHOICES)
        elif sort < 0.54:
            text = "{a}" + random.choice(INDICES)
        else:
            op, tries = self.due or random.choice(self.pool), 40 if self.due else 10
            self.due = None
            for _ in range(tries):  # operands that fit are rare
                expression, found = self._filled(self._call(op))
                if found is not None:
                    break
            return expression, found
        return self._filled(text)

    def _filled(self, text: str) -> tuple[str, Type | None]:
        for place in ("{a}", "{b}", "{t}"):
            while place in text:
                name = self._operand(literal=place != "{a}")
                text = text.replace(place, name, 1 if place == "{t}" else -1)
        operands = {name: self.names[name] for name in re.findall(r"[a-z]\w*", text) if name in self.names}
        return text, type_of(text, tuple(sorted(operands.items())), self.dtype)

    def _operand(self, literal: bool = True) -> str:
        if literal and self.random.random() < 0.15:
            return self._float() if self.random.random() < 0.7 else str(self.random.choice([0, 1, 2, 3]))
        names = list(self.names)
        # Later definitions are likelier to be used, so that expressions nest.
        return self.random.choice([*names, *names[-3:], *names[-1:]])

    def _derivative(self) -> tuple[str, Type | None]:
        random = self.random
        floats = [name for name, (_, dtype) in self.names.items() if is_float(dtype)]
        if not floats:
            return "", None
        y, x = random.choice(floats[-4:]), random.choice(floats)
        (y_shape, y_dtype), (x_shape, x_dtype) = self.names[y], self.names[x]
        found: dict[str, Type] = {
            f'gradients({y}, {x}, unconnected_gradients="zero")': (x_shape, x_dtype),
            f"jvp({y}, {x}, 1.012)": (y_shape, y_dtype),
            f"jacobian({y}, {x})": (y_shape + x_shape, x_dtype),
            f"hvp(sum({y}), {x}, 0.5)": (x_shape, x_dtype),
            f"hessian(sum({y}), {x})": (x_shape + x_shape, x_dtype),
        }
        expression = random.choice(list(found))
        shape, dtype = found[expression]
        size = 1
        for n in shape:
            size *= n
        return (expression, (shape, dtype)) if size <= MOST_ENTRIES and len(shape) <= MOST_AXES else ("", None)

    def _call(self, op: Operation) -> str:
        if op.name in CALLED:
            return self.random.choice(CALLED[op.name])
        first = self._operand(literal=False)
        given = [text for p in op.parameters if (text := self._argument(op, p, len(self.names[first][0]))) is not None]
        text = f"{op.name}({', '.join(given)})"
        if op.accepts == "bool":
            return text.replace("{t}", "({t} > 0.3)")
        return text.replace("{t}", first, 1)

    def _argument(self, op: Operation, p: Parameter, rank: int) -> str | None:
        random = self.random
        if p.kind == "indices" and random.random() < 0.7:
            return "[" * max(rank, 1) + random.choice(["0, 1", "0, 0", "-1", "1, 0, 1"]) + "]" * max(rank, 1)
        if p.kind == "condition" and random.random() < 0.7:
            return "{t} > 0.3"
        if p.one_tensor:
            return "{t}"
        if p.kind == "mask":
            return f"{p.name}={{t}} > 0.3" if random.random() < 0.4 else None
        if p.kind == "operands":
            return "{t}" if random.random() < 0.3 else "{t}, {t}"
        if p.kind == "tensors":
            return "[" + ", ".join(["{t}"] * random.randint(1, 3)) + "]"
        if p.default is not None and random.random() < 0.4:
            return None
        n = max(rank, 1)
        value = {
            "axis": lambda: str(random.randint(-n, n - 1)),
            "int": lambda: str(random.randint(-1, 3)),
            "axes": lambda: str(random.choice([0, -1, random.sample(range(n), random.randint(1, n))])),
            "ints": lambda: str(random.choice([[random.randint(0, 2) for _ in range(n)], random.sample(range(n), n)])),
            "shape": lambda: str([random.choice([1, 2, 3, 4, 6, -1]) for _ in range(rank)]),
            "pairs": lambda: str([[random.randint(0, 1), random.randint(0, 1)] for _ in range(n)]),
            "number": lambda: random.choice(["0.3", "2", "-1.5", "0", "1"]),
            "parameter": lambda: random.choice(["0.3", "2", "-1.5", "0", "1", "{t}", "{t}"]),
            "flag": lambda: random.choice(["true", "false"] if p.name not in PROMISES else ["false", "false"]),
            "dtype": lambda: random.choice(["float32", "float64", "int32", "int64", "bool"]),
            "seed": lambda: "7",
            "string": lambda: f'"{random.choice(EQUATIONS)}"',
        }[p.kind]()
        return f"{p.name}={value}" if p.keyword_only or p.default is not None else value


OPERATIONS = [op for op in table.values() if not op.hidden and not op.several and op.name not in WORDS]
"""Those of several values are made of others."""

ROUGH = [
    table[name]
    for name in (
        "maximum", "minimum", "clip", "relu", "elu", "mod", "floor_divide", "xlogy", "divide_no_nan", "hypot", "atan2", "norm", "max",
        "min", "sort", "recip", "sqrt", "log", "exp", "pow", "abs", "sign", "square", "where", "prod", "logsumexp", "softmax",
    )
]  # fmt: skip
"""Those with jumps, poles, or answers of their own for special values."""


def programs(seeds: range) -> Iterator[Program]:
    """The programs of some seeds."""
    for seed in seeds:
        yield Program(seed)

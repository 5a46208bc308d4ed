"""A graph as a program: text that parses back to the same graph."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from itertools import count
from math import isfinite
from typing import Any

from gradcli.graph.layout import LONGEST, Style, laid_out
from gradcli.graph.loops import Body, with_runs
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import Operation
from gradcli.graph.ops.creation import array_of, data_of, loop, loop_result, loop_run, make_leaf
from gradcli.graph.ops.elementwise import add
from gradcli.graph.ops.ruled import STEPS, TOLERANCE, Rule, System, replaced, ruled, solution
from gradcli.graph.ops.words.language import apply
from gradcli.graph.printing import ATOM, MINUS, POWER, PRODUCT, Text, number, times_pi
from gradcli.graph.types import INTEGER_OF, is_float, promote
from gradcli.language.builtin import BINARY, OPERATIONS
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
    named, roots = _with_functions(named, roots)
    names: dict[Node, str] = {}
    for name, node in named.items():
        names.setdefault(node, node.attrs["name"] if node.op.name == "leaf" else name)
    leaves = [node for node in cone(roots) if node.op.name == "leaf"]
    taken = {*taken, *named, *(str(leaf.attrs["name"]) for leaf in leaves)}
    style = ProgramStyle(float_dtype, taken, short, folder=folder)
    names.update({node: style.unpacked(node) for node in cone(roots) if node.op is loop_run})
    values = [v for leaf, v in initial.items() if isinstance(v, Node) and not _wider(leaf, float_dtype)]
    layout = laid_out([*values, *roots], names, style, taken, whole=set(values), most=most)
    for leaf, value in initial.items():
        if isinstance(value, Node) and _wider(leaf, float_dtype):
            # Its value is read with the declared precision.
            whole = ProgramStyle(leaf.dtype, taken, short=sys.maxsize, folder=folder)
            layout.texts.update(laid_out([value], {}, whole, taken, whole=set(cone([value]))).texts)
    body: list[str] = []
    for line in layout.lines:
        if line.node.op.name == "leaf":
            body.append(declaration(line.node, initial.get(line.node), layout.texts, style))
        else:
            body += [*style.functions_before(line.node), f"{line.name} = {line.text.text}"]
    aliases = [f"{name} = {names[node]}" for name, node in named.items() if names[node] != name]
    head = [] if float_dtype == "float64" else [f"dtype {float_dtype}"]
    return [*head, *style.definitions.values(), *body, *aliases]


def _with_functions(named: Mapping[str, Node], roots: Sequence[Node]) -> tuple[Mapping[str, Node], Sequence[Node]]:
    """The same with calls of functions as they are written.

    Results of one loop are results of one run of it; what is solved for is computed from what its function itself uses.
    """
    nodes = cone([*named.values(), *roots])
    if not any([node.op in (loop, solution) for node in nodes]):
        return named, roots
    new, _ = with_runs(nodes, LoopCall, _as_called)
    return {name: new[node] for name, node in named.items()}, [new[root] for root in roots]


def _as_called(node: Node, inputs: tuple[Node, ...]) -> Node | None:
    """What is solved for, computed from what its function itself uses, and without the rule that a call of it has."""
    if node.op is ruled and node.attrs["rule"].itself is not None:
        return inputs[0]
    if node.op is not solution:
        return None
    system: System = node.attrs["system"]
    used = set(cone([system.goal], system.parameters))
    kept = [i for i, p in enumerate(system.parameters, 1) if p in used]
    only = system.of([system.parameters[i - 1] for i in kept])
    own = (inputs[0], *[inputs[i] for i in kept])
    return Node(solution, own, {"system": only}, node.shape, node.dtype, node.risky)


class LoopCall:
    """Some results of a loop as a call of `scan`, or of `iterate` where only the last states are needed.

    What a step computes besides its states is a state too, that no step looks at.
    """

    def __init__(self, body: Body, wanted: Sequence[int], given: Sequence[int]) -> None:
        self.body = body
        self.wanted = list(wanted)
        self.given = list(given)
        self.live = body.live(wanted)
        after = {body.following[i]: i for i in self.live}
        self.same = {r: after[body.root(r)] for r in wanted if self._is_emitted(r) and body.root(r) in after}
        self.emitted = [r for r in wanted if self._is_emitted(r) and r not in self.same]
        first = len(body.states)
        self.rows = [p for p in given if first <= p < first + len(body.elements)]
        self.scans = bool(self.rows) or any([body.stacks(r) for r in wanted])
        self.states = len(self.live) + len(self.emitted)
        self.listed = self.states + max(len(self.rows), self.scans) > 1 + self.scans

    def _is_emitted(self, r: int) -> bool:
        return self.body.stacks(r) and r < self.body.before(0)

    def result(self, k: int, names: Sequence[str], start: str) -> Text:
        """The k-th result, from the names of the states and the text of what its state starts from."""
        body, r = self.body, self.wanted[k]
        if r in self.emitted:
            return Text(names[len(self.live) + self.emitted.index(r)])
        if r in self.same:
            return Text(names[self.live.index(self.same[r])])
        i = r - body.before(0) if body.stacks(r) else r
        name = names[self.live.index(i)]
        if not body.stacks(r):
            return Text(f"{name}[{0 if body.backwards else -1}]") if self.scans else Text(name)
        if body.backwards:
            return Text(f"concat([{name}[1:], [{start}]], 0)")
        return Text(f"concat([[{start}], {name}[:-1]], 0)")


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
    program, one of ``definitions``, stands for it. Functions that are solved for, and values with a derivative of their
    own, are functions of the program again, in front of the line that calls them.
    """

    def __init__(
        self,
        float_dtype: str,
        taken: Collection[str],
        short: int,
        with_functions: bool = True,
        folder: str | None = None,
    ) -> None:
        super().__init__(short)
        self._folder = folder
        self._with_functions = with_functions
        self.float_dtype = float_dtype
        self.told = (float_dtype, INTEGER_OF[float_dtype], "bool")
        self.taken = taken
        self.definitions: dict[str, str] = {}
        self._functions: list[tuple[int, str]] = []
        self._counts: dict[str, Iterator[int]] = {}
        self._starts: dict[Node, dict[int, str]] = {}

    def leaf(self, node: Node) -> Text:
        return Text(str(node.attrs["name"]))

    def apply(self, node: Node, operands: Sequence[Text]) -> Text:
        if node.op.name == "literal":
            shown = self._number(node)
            return shown if node.dtype in self.told else Text(f"cast({shown.text}, {node.dtype})")
        if node.op.name == "array":
            return Text(self._loaded(node) or _array(node, self.told))
        if node.op is solution and self._with_functions:
            return self._solved(node, operands)
        if node.op is loop_run:
            return self._called(node, operands)
        if node.op is loop_result:
            return self._result(node, operands[0])
        if node.op is ruled and self._with_functions and node.attrs["rule"].itself is None:
            return self._ruled(node, operands)
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

    def functions_before(self, node: Node) -> list[str]:
        """The functions that the line of a node needs and that are not written yet."""
        found = [text for serial, text in self._functions if serial <= node.serial]
        self._functions = [(serial, text) for serial, text in self._functions if serial > node.serial]
        return found

    def _solved(self, node: Node, operands: Sequence[Text]) -> Text:
        system: System = node.attrs["system"]
        f, x = self._new("f"), self._new("x")
        body = self._body([system.goal], {system.x: Text(x), **dict(zip(system.parameters, operands[1:], strict=True))})
        self._functions.append((node.serial, f"def {f}({x}) = {body}"))
        options = f", tol={system.tol!r}" if system.tol != TOLERANCE[node.dtype] else ""
        options += f", steps={system.steps}" if system.steps != STEPS[system.word] else ""
        return Text(f"{system.word}({f}, {operands[0].text}{options})")

    def _ruled(self, node: Node, operands: Sequence[Text]) -> Text:
        rule: Rule = node.attrs["rule"]
        if not rule.passes:
            return Text(f"stop_gradient({operands[0].text})")
        f = self._new("f")
        xs, dxs = [self._new("x") for _ in rule.passes], [self._new("d") for _ in rule.passes]
        given = dict(zip(rule.parameters, operands[1:], strict=True))
        given |= {rule.tangents[i]: Text(dx) for i, dx in zip(rule.passes, dxs, strict=True)}
        tangent = reduce(add, [rule.roots[i] for i in rule.passes])
        self._functions += [
            (node.serial, f"def {f}({', '.join(xs)}) = {operands[0].text}"),
            (node.serial, f"tangent {f}({', '.join([*xs, *dxs])}) = {self._body([tangent], given)}"),
        ]
        return Text(f"{f}({', '.join([operands[i].text for i in rule.passes])})")

    def _new(self, stem: str) -> str:
        numbers = self._counts.setdefault(stem, count(1))
        return next(name for k in numbers if (name := f"{stem}{k}") not in self.taken)

    def unpacked(self, run: Node) -> str:
        """New names for the states of a loop, as the targets of an assignment."""
        call: LoopCall = run.attrs["function"]
        names = [self._new("s") for _ in range(call.states)]
        return ", ".join(names) + "," * (call.listed and call.states == 1)

    def _called(self, run: Node, operands: Sequence[Text]) -> Text:
        call: LoopCall = run.attrs["function"]
        # A state has the dtype of what it starts from.
        operands = [
            self._typed(x) if x.op.name == "literal" and x.dtype != "bool" else t
            for x, t in zip(run.inputs, operands, strict=True)
        ]
        body, texts = call.body, dict(zip(call.given, operands, strict=True))
        self._starts[run] = {i: texts[i].text for i in call.live}
        states = [self._new("x") for _ in range(call.states)]
        rows = [self._new("e") for _ in range(max(len(call.rows), call.scans))]
        given = {body.states[i]: Text(name) for i, name in zip(call.live, states, strict=False)}
        given |= {body.parameters[p]: Text(name) for p, name in zip(call.rows, rows, strict=False)}
        given |= {x: texts[body.number[x]] for x in body.fixed if body.number[x] in texts}
        roots = [*[body.following[i] for i in call.live], *[body.root(r) for r in call.emitted]]
        f = self._new("f")
        self._functions.append((run.serial, f"def {f}({', '.join([*states, *rows])}) = {self._body(roots, given)}"))
        starts = [texts[i].text for i in call.live] + [self._zeros(body.root(r)) for r in call.emitted]
        start = f"[{', '.join(starts)}]" if call.listed else starts[0]
        if not call.scans:
            return Text(f"iterate({f}, {start}, {body.count})")
        some = [texts[p].text for p in call.rows] or [f"zeros([{body.count}])"]
        elems = f"[{', '.join(some)}]" if len(some) > 1 else some[0]
        return Text(f"scan({f}, {elems}, {start}{', reverse=true' * body.backwards})")

    def _typed(self, number: Node) -> Text:
        """A number that has its dtype by itself."""
        value = number.attrs["value"]
        if number.dtype == self.float_dtype and isfinite(value):
            return Text(repr(float(value)))
        return Text(f"cast({self._number(number).text}, {number.dtype})")

    def _result(self, node: Node, names: Text) -> Text:
        (run,), k = node.inputs, node.attrs["index"]
        call: LoopCall = run.attrs["function"]
        r = call.wanted[k]
        start = self._starts[run].get(r - call.body.before(0), "")
        return call.result(k, names.text.rstrip(",").split(", "), start)

    def _zeros(self, like: Node) -> str:
        dtype = "" if like.dtype == self.float_dtype else f", dtype={like.dtype}"
        return f"zeros([{', '.join(map(str, like.shape))}]{dtype})"

    def _body(self, roots: Sequence[Node], given: Mapping[Node, Text]) -> str:
        """The body of a function that gives the values of nodes, from the texts of some: an expression or a block."""
        leaves = {
            node: make_leaf(text.at_least(ATOM), "step", node.shape, node.dtype, node.risky)
            for node, text in given.items()
        }
        from gradcli.rewrite.written import Written  # few programs have such a function

        own = Written(replaced(roots, leaves), dtype=self.float_dtype, with_rules=True).targets
        own = [*_with_functions({}, own)[1]]
        outer, self._functions = self._functions, []
        names = {node: self.unpacked(node) for node in cone(own) if node.op is loop_run}
        layout = laid_out(own, names, self, self.taken)
        lines: list[str] = []
        for line in layout.lines:
            if line.node.op.name != "leaf":
                lines += [*self.functions_before(line.node), f"{line.name} = {line.text.text}"]
        texts = [layout.texts[x] if x in layout.texts else self._number(x) for x in own]
        lines += [text for _, text in self._functions]
        self._functions = outer
        value = ", ".join([text.text for text in texts])
        if not lines:
            return value
        block = "; ".join([*lines, value])
        return f"{{ {block} }}" if len(block) <= LONGEST else "\n    ".join(["{", *lines, value]) + "\n}"

    def _number(self, literal: Node) -> Text:
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
            return self._number(literal)
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
            return (self._brief(literal, alone=True) if alone else None) or self._number(literal)
        if promote(met) != literal.dtype:
            return None
        return self._brief(literal) or self._number(literal)

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

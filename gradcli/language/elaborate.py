"""Syntax tree to graph: scopes, statements and expressions, with an explicit stack in place of recursion.

Every expression that is not a plain name makes new nodes: two operations of the program stay two nodes, however alike,
and a name is an alias of its node.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn

from gradcli.diagnostics import MOST, GradcliError, Kind, Label, Source, Span, counted, did_you_mean, together
from gradcli.graph.fold import fold
from gradcli.graph.node import Node, cone, now, uncollected
from gradcli.graph.operation import Operation, literal
from gradcli.graph.ops import table
from gradcli.graph.ops.creation import array, make_leaf
from gradcli.graph.ops.shaping import transpose
from gradcli.graph.switches import without
from gradcli.graph.types import DTYPES, INTEGER_OF, Shape, is_float, is_integer, show_shape
from gradcli.language import calls, expressions, statics, syntax
from gradcli.language.builtin import BINARY, CALL_LIMIT, CONSTANTS, NODE_LIMIT, OPERATIONS, UNARY
from gradcli.language.derivatives import FORMS
from gradcli.language.lexer import LINES
from gradcli.language.parser import parse
from gradcli.language.values import (
    IN_CALL,
    Asked,
    Binding,
    Elaborated,
    Frame,
    Missing,
    Scope,
    Several,
    Unknown,
    UnknownError,
    UserFunction,
    Value,
    Weak,
)

if TYPE_CHECKING:
    from gradcli.data.memory import Memory
    from gradcli.data.shares import Readers
    from gradcli.language.looping import Open
    from gradcli.language.scalars import Scalars
    from gradcli.language.templates import Reading

Place = tuple[int, int]

SHORTER = "each call is written out: bind a value to a name, `h = f(x)`, and use the name again, or repeat less often"
LONG = 50_000
"""Characters of a text from which its expressions are looked at for scalars first."""


FURTHER = 2.0
"""Seconds in which further errors are looked for after the first one, which is told then."""


class Elaborator:
    """The state of one elaboration: what is bound, and the work and value stacks."""

    def __init__(
        self, source: Source, overrides: Mapping[str, Any], folder: str | os.PathLike[str], dtype: str | None, seed: int
    ) -> None:
        self.source = source
        self.overrides = overrides
        self.folder = folder
        self.forced_dtype = dtype
        self.seed = seed
        self.unsafe: Collection[str] = ()
        self.written_out = False
        self.memory: Memory | None = None
        self.readers: Readers | None = None
        self.draws = 0
        self.calls = 0
        self.frames: list[Frame] = []  # the calls that are going on
        self.templated = not without("templates")
        self.readings: list[Reading | Open] = []  # of functions that are being applied to stand-ins, the innermost last
        self.failed: dict[int, int] = {}  # how often a definition, by its identity, could not be read for stand-ins
        self.program = Elaborated(source, dtype or "float64")
        self.program.derivation.float_dtype = self.program.float_dtype
        self.top = Scope()
        self.bound = self.top.names
        self.last: str | None = None
        self.scalars: Scalars | None = None
        self.quick_value: Callable[[Elaborator, syntax.Expression], Node | None] = lambda e, expression: None
        self.mixed_lists: dict[int, syntax.List] = {}  # by identity: known to hold more than numbers
        self.dtype_line: syntax.Dtype | None = None
        self.statements: Sequence[syntax.Statement] = ()
        self.outer: Elaborator | None = None  # of a value given beside a program, which knows none of its names
        self.work: list[tuple[Callable[[Any, Any], None], Any, Any]] = []
        self.values: list[Value] = []
        # The calls whose bodies are being read, by the identities of the function and of those that it is given.
        self.active: dict[tuple[int, ...], tuple[syntax.Syntax, UserFunction]] = {}

    def given(self, text: str, option: str) -> Node:
        """The node of a constant expression given beside the program: ``--set x=…``, ``--seed y=…``.

        It has the program's precision and sees the built-ins only. Errors name the option. Its places belong to another
        source, so they are not kept. Raises GradcliError.
        """
        source = Source(option, text)
        statements = parse(source).statements
        if len(statements) != 1 or not isinstance(statements[0], syntax.Bare):
            raise GradcliError(
                "SyntaxError",
                "one expression is needed here",
                [Label(Span(source, 0, len(text)))],
                help="quote it for the shell: `--set 'x=[1, 2]'`",
            )
        expression = statements[0].value
        inner = Elaborator(source, {}, self.folder, None, self.seed)
        inner.program.float_dtype = self.float_dtype
        inner.outer = self
        inner.written_out = True
        return inner.node(inner.value(expression, inner.top), expression)

    @property
    def operations(self) -> Mapping[str, Operation]:
        return OPERATIONS

    @property
    def constants(self) -> Mapping[str, float]:
        return CONSTANTS

    @property
    def float_dtype(self) -> str:
        return self.program.float_dtype

    @property
    def integer_dtype(self) -> str:
        return INTEGER_OF[self.program.float_dtype]

    # errors and places

    def span(self, at: syntax.Syntax | Place) -> Span:
        start, end = at if isinstance(at, tuple) else (at.start, at.end)
        return Span(self.source, start, end)

    def fail(
        self,
        kind: Kind,
        message: str,
        at: syntax.Syntax | Place,
        help: str | None = None,
        label: str = "",
        also: Sequence[tuple[syntax.Syntax | Place, str]] = (),
    ) -> NoReturn:
        labels = [Label(self.span(at), label), *(Label(self.span(place), text) for place, text in also)]
        raise GradcliError(kind, message, labels, help)

    def add_calls(self, error: GradcliError) -> None:
        """Point an error that is found in the body of a function also at the call, and at the statement's own call."""
        calls = [call for call, _ in self.active.values()]
        if calls and error.labels:
            told = {label.span for label in error.labels}
            spans = dict.fromkeys([self.span(calls[-1]), self.span(calls[0])])
            error.labels += tuple([Label(span, IN_CALL) for span in spans if span not in told])

    def mark(self, node: Node, place: Place) -> Node:
        """Remember where a node, and what was made for it, stands in the source."""
        program = self.program
        places, before = program.places, program.last_of_lines
        if node not in places and node.serial > before:
            places[node] = place
            todo = [x for x in node.inputs if x not in places]
            while todo:
                made = todo.pop()
                if made.serial > before:
                    places[made] = place
                    todo.extend([x for x in made.inputs if x not in places])
        if program.size > NODE_LIMIT:
            self.fail("LimitError", f"the program has more than {NODE_LIMIT} operations", place, help=SHORTER)
        return node

    def check_room(self, calls: int, operations: int, at: syntax.Syntax) -> None:
        """Refuse at once what would pass the limits on calls and operations in a while."""
        if self.program.size + operations > NODE_LIMIT:
            found, limit, what = operations, NODE_LIMIT, "operations"
        elif self.calls + calls > CALL_LIMIT:
            found, limit, what = calls, CALL_LIMIT, "calls of functions"
        else:
            return
        beside = "" if found > limit else " beside those that there are"
        self.fail(
            "LimitError",
            f"this makes {found} {what} or more{beside}, and a program has at most {limit}",
            at,
            help=SHORTER,
        )

    def give_up(self, statement: syntax.Statement) -> None:
        """After an error go on behind a statement of the top level: what it was to bind is unknown."""
        for stack in (self.work, self.values, self.active, self.frames, self.readings):
            stack.clear()
        if not isinstance(statement, syntax.Tangent):
            for target in syntax.targets(statement):
                self.bound.setdefault(target.id, Unknown(target, len(self.bound)))

    # calls

    def open_frame(self, name: str, call: syntax.Syntax) -> None:
        """Begin to keep what belongs to a call; its frame is closed with its value."""
        self.frames.append(Frame(name, (call.start, call.end), len(self.frames)))

    def close_frame(self, value: Value) -> None:
        frame = self.frames.pop()
        frame.end = now()
        frame.result = value if isinstance(value, Node) else None
        self.program.calls.append(frame)

    def differentiates(self, ys: Sequence[Node], xs: Sequence[Node], stops: Iterable[Node] = ()) -> None:
        """Tell those who read functions for stand-ins that a derivative of ys by xs is being made."""
        for reading in self.readings:
            reading.note(xs, [*ys, *stops])

    # the machine

    def saved(self) -> Callable[[], None]:
        """What takes the machine back to here, where a reading is given up: its stacks, open calls, and numbers drawn."""
        work, values, depth, ended = len(self.work), len(self.values), len(self.active), len(self.program.calls)
        frames, opened, draws, calls = self.frames, len(self.frames), self.draws, self.calls

        def back() -> None:
            del self.work[work:], self.values[values:], self.program.calls[ended:], frames[opened:]
            self.frames, self.draws, self.calls = frames, draws, calls
            while len(self.active) > depth:
                self.active.popitem()

        return back

    def value(self, expression: syntax.Expression, scope: Scope) -> Value:
        """The value of an expression; deep expressions use the work stack, not Python's."""
        bottom = len(self.work)
        self.work.append((self.enter, expression, scope))
        self.run(bottom)
        return self.values.pop()

    def run(self, bottom: int) -> None:
        """Work until the stack is down to its ``bottom`` entries."""
        work = self.work
        while len(work) > bottom:
            step, a, b = work.pop()
            step(a, b)

    def enter(self, expression: syntax.Expression, scope: Scope) -> None:
        _ENTER[type(expression)](self, expression, scope)

    def push(self, step: Callable[[Any, Any], None], a: Any = None, b: Any = None) -> None:
        self.work.append((step, a, b))

    def take(self, count: int) -> list[Value]:
        """The last values of the stack, in the order in which they were computed; they leave it."""
        start = len(self.values) - count
        taken = self.values[start:]
        del self.values[start:]
        return taken

    def node(self, value: Value, at: syntax.Syntax | Place) -> Node:
        """A value as a node; what has no value as an array is an error."""
        if isinstance(value, Node):
            return value
        place = at if isinstance(at, tuple) else (at.start, at.end)
        if isinstance(value, Weak):
            return self.mark(self.literal(value, None, at), place)
        if isinstance(value, Missing):
            reason = value.reason()
            self.fail(
                "ValueError",
                f"this gradient is None: {reason.with_line()}",
                at,
                help='give zeros in its place: `gradients(…, unconnected_gradients="zero")`',
                also=[((reason.span.start, reason.span.end), "cut here")]
                if reason.span and reason.span.source == self.source
                else (),
            )
        if isinstance(value, Several):
            self._must_unpack(value, at)
        own = name = value.name
        if isinstance(at, syntax.Name):
            name = at.id
        self.fail(
            "TypeError",
            f"`{name}` is a function, not a value",
            at,
            help=f"call it: `{name}(…)`",
            label=f"it stands for `{own}`" if name != own else "",
        )

    def _must_unpack(self, value: Several, at: syntax.Syntax | Place) -> NoReturn:
        count = len(value.items)
        if value.noun == "gradient":
            self.fail(
                "TypeError",
                f"gradients for a list of {counted(count, 'x')} must be unpacked into as many names",
                at,
                help="`g1, g2 = gradients(y, [x1, x2])`"
                if count != 1
                else "without brackets it is one value: `gradients(y, x)`",
            )
        names = ", ".join("abcdefgh"[:count]) + ", …" * (count > 8) + "," * (count == 1)
        start, end = at if isinstance(at, tuple) else (at.start, at.end)
        text = self.source.text[start:end]
        shown = text if len(text) <= 40 and "\n" not in text else "…"
        self.fail(
            "TypeError",
            f"one value is needed here, and this gives {counted(count, 'value')}",
            at,
            help=f"unpack them first: `{names} = {shown}`",
        )

    def literal(self, weak: Weak, dtype: str | None, at: syntax.Syntax | Place) -> Node:
        """A literal in the dtype that it meets (None: its own default)."""
        return expressions.literal_node(self, weak, dtype, at)

    # expressions

    def enter_number(self, expression: syntax.Number, scope: Scope) -> None:
        self.values.append(Weak(expression.value))

    def enter_name(self, expression: syntax.Name, scope: Scope) -> None:
        self.values.append(self.resolve(expression, scope))

    def resolve(self, name: syntax.Name, scope: Scope, call: syntax.Call | None = None) -> Value:
        """What a name stands for here; an unknown name is an error with a suggestion."""
        binding = scope.find(name.id)
        if binding is not None:
            return binding.value
        if name.id in CONSTANTS:
            return Weak(CONSTANTS[name.id])
        if name.id in OPERATIONS:
            return OPERATIONS[name.id]
        self.unknown(name, scope, call)

    def knows(self, name: syntax.Name, scope: Scope) -> bool:
        """Whether a name stands for anything here."""
        return scope.find(name.id) is not None or name.id in CONSTANTS or name.id in OPERATIONS

    def unknown(self, name: syntax.Name, scope: Scope, call: syntax.Call | None = None) -> NoReturn:
        for around in scope.around():
            if around.function is not None and name.id == around.function.name.id:
                self.recursive(name, around.function)
            if name.id in around.names:
                self.fail(
                    "NameError",
                    f"`{name.id}` is bound below the function that uses it",
                    name,
                    help="move its definition above the function",
                    also=[(around.names[name.id].place, "bound here")],
                )
        below = next((t for t in self.targets() if t.id == name.id and t.start > name.start), None)
        if below is not None:
            self.fail(
                "NameError",
                f"`{name.id}` is not defined yet",
                name,
                help="move its definition above this",
                label="used here",
                also=[(below, "bound here")],
            )
        from gradcli.language import suggestions

        known = [other for around in scope.around() for other in around.names]
        outside = self.outer is not None and any(name.id == target.id for target in self.outer.targets())
        missing, hint = suggestions.for_unknown(self.source.text, name, call, known, self.outer is not None, outside)
        if missing:
            self.fail("NameError", f"gradcli has no operation `{name.id}`", name, help=hint)
        self.fail("NameError", f"`{name.id}` is not defined", name, help=hint, label="not known here")

    def recursive(self, at: syntax.Syntax, function: syntax.Function) -> NoReturn:
        self.fail(
            "NameError",
            f"`{function.name.id}` calls itself, and functions cannot be recursive",
            at,
            help="apply a function n times with `iterate(f, x0, n)`",
            also=[(function.name, "defined here")],
        )

    def targets(self) -> Iterator[syntax.Name]:
        """The names that the program's statements bind, in order."""
        for statement in self.statements:
            yield from syntax.targets(statement)

    def enter_word(self, expression: syntax.Word, scope: Scope) -> None:
        if expression.value not in ("true", "false"):
            self.fail("TypeError", f"`{expression.value}` is not a value here", expression)
        self.values.append(self.mark(literal(expression.value == "true", "bool"), (expression.start, expression.end)))

    def enter_string(self, expression: syntax.String, scope: Scope) -> None:
        self.fail("TypeError", "a string is not a value here", expression)

    def enter_unary(self, expression: syntax.Unary, scope: Scope) -> None:
        self.push(self._apply_unary, expression)
        self.push(self.enter, expression.operand, scope)

    def _apply_unary(self, expression: syntax.Unary, _: None) -> None:
        value = self.values.pop()
        if isinstance(value, Weak) and expression.operator == "-":
            self.values.append(Weak(-value.value))
        else:
            op = table[UNARY[expression.operator]]
            self.values.append(expressions.apply(self, op, [(value, expression.operand)], {}, expression))

    def enter_binary(self, expression: syntax.Binary, scope: Scope) -> None:
        self.push(self._apply_binary, expression)
        self.push(self.enter, expression.right, scope)
        self.push(self.enter, expression.left, scope)

    def _apply_binary(self, expression: syntax.Binary, _: None) -> None:
        right = self.values.pop()
        left = self.values.pop()
        if isinstance(left, Weak) and isinstance(right, Weak):
            folded = expressions.arithmetic(self, expression, left.value, right.value)
            if folded is not None:
                self.values.append(Weak(folded))
                return
        operands = [(left, expression.left), (right, expression.right)]
        self.values.append(expressions.apply(self, table[BINARY[expression.operator]], operands, {}, expression))

    def enter_attribute(self, expression: syntax.Attribute, scope: Scope) -> None:
        if expression.name.id != "T":
            from gradcli.language import suggestions

            name = expression.name.id
            base = expression.base
            module = isinstance(base, syntax.Name) and not self.knows(base, scope)
            hint = suggestions.for_attribute(self.source.text, expression, module)
            self.fail("NameError", f"there is no attribute `.{name}`", expression.name, help=hint)
        self.push(self._apply_transpose, expression)
        self.push(self.enter, expression.base, scope)

    def _apply_transpose(self, expression: syntax.Attribute, _: None) -> None:
        x = self.node(self.values.pop(), expression.base)
        self.values.append(self.mark(transpose(x, axes=None), (expression.start, expression.end)))

    def enter_call(self, expression: syntax.Call, scope: Scope) -> None:
        calls.enter(self, expression, scope)

    def enter_index(self, expression: syntax.Index, scope: Scope) -> None:
        self.push(expressions.apply_index, self, (expression, scope))
        self.push(self.enter, expression.base, scope)

    def enter_list(self, expression: syntax.List, scope: Scope) -> None:
        expressions.enter_list(self, expression, scope)

    def enter_values(self, expression: syntax.Values, scope: Scope) -> None:
        self.push(self._gather, expression)
        for item in reversed(expression.items):
            self.push(self.enter, item, scope)

    def _gather(self, expression: syntax.Values, _: None) -> None:
        values = self.take(len(expression.items))
        items = [
            value if isinstance(value, Missing) else self.node(value, place)
            for value, place in zip(values, expression.items, strict=True)
        ]
        self.values.append(Several(tuple(items)))

    # names

    def bind(self, name: syntax.Name, value: Value, scope: Scope) -> None:
        """Bind a name once; literals become nodes of their own."""
        earlier = scope.find(name.id)
        if earlier is not None and not isinstance(earlier, Unknown):
            self.fail(
                "NameError",
                f"`{name.id}` is bound twice",
                name,
                label="bound again",
                help="a name is bound once: choose another name",
                also=[(earlier.place, "first bound here")],
            )
        if isinstance(value, Weak):
            value = self.node(value, name)
        scope.names[name.id] = Binding(value, name, len(scope.names))

    # statements that bind names

    def define(self, function: syntax.Function, scope: Scope) -> None:
        """Bind a function in a scope, whose names it sees, or give it its derivative."""
        if isinstance(function, syntax.Tangent):
            from gradcli.language import tangents  # few programs have one

            tangents.define(self, function, scope)
            return
        self.check_parameters(function)
        from gradcli.language.least import of_function

        least = of_function(function, scope.find, self.constants, self.operations)
        self.bind(function.name, UserFunction(function, scope, least), scope)

    def check_parameters(self, function: syntax.Function) -> None:
        """Refuse two parameters of one name."""
        seen: dict[str, syntax.Name] = {}
        for p in function.parameters:
            if p.name.id in seen:
                self.fail(
                    "NameError",
                    f"two parameters of `{function.name.id}` are called `{p.name.id}`",
                    p.name,
                    also=[(seen[p.name.id], "the first")],
                )
            seen[p.name.id] = p.name

    def assign(self, statement: syntax.Assignment, value: Value, scope: Scope) -> None:
        targets = statement.targets
        if isinstance(value, Several) or len(targets) > 1 or isinstance(statement, syntax.Unpacking):
            values = _unpacked(self, statement, value)
        else:
            values = [value]
        for target, item in zip(targets, values, strict=True):
            if isinstance(item, (UserFunction, Operation, Weak)):
                item = self.node(item, statement.value)
            self.bind(target, item, scope)
            if scope.function is None:
                bound = self.bound[target.id].value
                assert isinstance(bound, (Node, Missing))
                self.program.names[target.id] = bound
                self.program.definitions.append(target.id)
                self.last = target.id

    def static(self, value: Value, at: syntax.Syntax) -> Any:
        """The number (or nested list of numbers) of a constant, known before anything is evaluated."""
        if isinstance(value, Weak):
            return value.value
        node = self.node(value, at)
        try:
            result = fold(node, lambda leaf: constant_array(self, leaf))
        except GradcliError as error:
            error.labels = error.labels or (Label(self.span(at)),)
            raise
        if result is None:
            self.fail(
                "TypeError",
                "this must be known before anything is evaluated",
                at,
                help="use a literal, a `constant`, or `shape(x)`, `rank(x)`, `size(x)`",
            )
        return result

    def array(self, values: Any, shape: tuple[int, ...], dtype: str, place: Place) -> Node:
        try:
            node = array(values=values, shape=shape, dtype=dtype)
        except GradcliError as error:
            error.labels = error.labels or (Label(self.span(place)),)
            raise
        return self.mark(node, place)


_ENTER: dict[type, Callable[[Elaborator, Any, Scope], None]] = {
    syntax.Number: Elaborator.enter_number,
    syntax.Name: Elaborator.enter_name,
    syntax.Word: Elaborator.enter_word,
    syntax.String: Elaborator.enter_string,
    syntax.Unary: Elaborator.enter_unary,
    syntax.Binary: Elaborator.enter_binary,
    syntax.Attribute: Elaborator.enter_attribute,
    syntax.Call: Elaborator.enter_call,
    syntax.Index: Elaborator.enter_index,
    syntax.List: Elaborator.enter_list,
    syntax.Values: Elaborator.enter_values,
}


# ---- statements


def execute(e: Elaborator, statement: syntax.Statement) -> None:
    """Carry out one statement."""
    match statement:
        case syntax.Assignment():
            expression = statement.value
            e.assign(statement, e.quick_value(e, expression) or e.value(expression, e.top), e.top)
        case syntax.Declaration():
            _declare(e, statement)
        case syntax.Function():
            e.define(statement, e.top)
        case syntax.Output():
            for name in statement.names:
                if not isinstance(e.bound.get(name.id), Unknown):
                    _known(e, name)
                    e.program.outputs.append(name.id)
        case syntax.Seed():
            _seed(e, statement)
        case syntax.Dtype():
            _dtype(e, statement)
        case syntax.Broken():
            raise UnknownError("SyntaxError", "this is not a statement")
        case syntax.Bare():
            if isinstance(statement.value, syntax.Values):
                e.fail(
                    "SyntaxError",
                    "several values on their own have no names to be asked for",
                    statement,
                    help="give each a name in a statement of its own; `def f(x) = a, b` is a function of several values",
                )
            begins = e.source.text[statement.start : statement.start + 2]
            if begins == "++":
                e.fail("SyntaxError", "`++` is not an operator here", statement, help="write `x + 1`")
            continued = LINES if begins[0] == "+" else None
            e.fail(
                "SyntaxError",
                "an expression on its own has no name to be asked for",
                statement,
                help=continued or _printing(e, statement.value) or f"give it one: `name = {_brief(e, statement)}`",
            )
        case _:
            e.fail("SyntaxError", "this statement is not possible here", statement)


def _printing(e: Elaborator, expression: syntax.Expression) -> str | None:
    """What to write for ``print(y)``, ``y <- 3``, ``y == 3`` and ``-- a comment``."""
    from gradcli.language import foreign

    function = expression.function if isinstance(expression, syntax.Call) else None
    if isinstance(function, syntax.Name) and function.id in ("print", "println", "disp") and function.id not in e.bound:
        return foreign.ADVICE[function.id]
    text = e.source.text[expression.start : expression.end]
    if text.startswith("--"):
        return "a comment starts with `#`"
    if isinstance(expression, syntax.Binary) and isinstance(expression.left, syntax.Name):
        name, right = expression.left.id, expression.right
        if expression.operator == "==" and name not in e.bound:
            return f"to bind a name, write `{name} = {e.source.text[right.start : right.end]}`"
        if expression.operator == "<" and isinstance(right, syntax.Unary) and "<-" in text:
            return f"to bind a name, write `{name} = {e.source.text[right.operand.start : right.operand.end]}`"
    return None


def _brief(e: Elaborator, at: syntax.Syntax) -> str:
    text = e.source.text[at.start : at.end]
    return text if len(text) <= 40 and "\n" not in text else "…"


def _unpacked(e: Elaborator, statement: syntax.Assignment, value: Value) -> Sequence[Value]:
    """As many values as there are names: those of a call, or the entries of an array along its first axis."""
    targets = statement.targets
    if isinstance(value, Several):
        count, what, shown = len(value.items), "", counted(len(value.items), value.noun)
        if value.noun == "gradient":
            what = f"gradients for a list of {counted(count, 'x')}"
    else:
        node = e.node(value, statement.value)
        if not node.rank:
            e.fail(
                "TypeError",
                "a scalar cannot be unpacked",
                (targets[0].start, targets[-1].end),
                help="write one name",
                also=[(statement.value, "one value")],
            )
        count, what = node.shape[0], f"an array of {counted(node.shape[0], 'entry', 'entries')} along its first axis"
        shown = f"shape {show_shape(node.shape)}"
    if count != len(targets):
        names = counted(len(targets), "name")
        e.fail(
            "TypeError" if isinstance(value, Several) else "ShapeError",
            f"{what or counted(count, 'value')} cannot be unpacked into {names}",
            targets[0] if len(targets) == 1 else (targets[0].start, targets[-1].end),
            help=f"write {counted(count, 'name')}, separated by commas" if count else None,
            label=names,
            also=[(statement.value, shown)],
        )
    if isinstance(value, Several):
        return value.items
    from gradcli.graph.ops.slicing import index

    return [e.mark(index(node, items=(i,)), (target.start, target.end)) for i, target in enumerate(targets)]


def _known(e: Elaborator, name: syntax.Name) -> None:
    if name.id in e.program.names:
        return
    if name.id in e.bound and isinstance(e.bound[name.id].value, UserFunction):
        e.fail("TypeError", f"`{name.id}` is a function, not a value", name, help=f"name its value: `y = {name.id}(…)`")
    e.unknown(name, e.top)


def _seed(e: Elaborator, statement: syntax.Seed) -> None:
    _known(e, statement.name)
    if statement.name.id in e.program.seeds:
        e.fail("NameError", f"`{statement.name.id}` has two seeds", statement.name)
    target = e.program.names[statement.name.id]
    y = e.node(target, statement.name)
    value = e.node(e.value(statement.value, e.top), statement.value)
    _constant(e, value, statement.value, "a seed")
    check_seed(e, y, value, statement)
    e.program.seeds[statement.name.id] = value


def check_seed(e: Elaborator, y: Node, value: Node, statement: syntax.Seed) -> None:
    """Refuse a seed whose shape is not that of y."""
    if value.shape not in ((), y.shape):
        e.fail(
            "ShapeError",
            f"the seed of {statement.name.id} needs its shape, {show_shape(y.shape)}, not {show_shape(value.shape)}",
            statement.value,
            label=f"shape {show_shape(value.shape)}",
            also=[(statement.name, f"shape {show_shape(y.shape)}")],
        )


def _constant(e: Elaborator, node: Node, at: syntax.Syntax, what: str) -> None:
    for x in cone([node]):
        if x.op.name == "leaf" and x.attrs["kind"] == "variable":
            e.fail(
                "TypeError",
                f"{what} is a constant expression, and this one depends on the variable `{x.attrs['name']}`",
                at,
                help="use constants, literals and creation functions, or bind it to a name: `y = …`",
            )


def _dtype(e: Elaborator, statement: syntax.Dtype) -> None:
    name = statement.name.id
    if name not in ("float32", "float64"):
        from gradcli.language import foreign

        meant = foreign.DTYPES.get(name)
        similar = meant if meant in ("float32", "float64") else did_you_mean(name, ("float32", "float64"))
        e.fail(
            "TypeError",
            f"the precision of a program is float32 or float64, not {name}",
            statement.name,
            help=(f"write `dtype {similar}`" if meant else f"did you mean `{similar}`?") if similar else None,
        )
    if e.dtype_line is not None:
        e.fail(
            "SyntaxError",
            "a program has one dtype line",
            statement,
            help="leave one of them out",
            label="and again",
            also=[(e.dtype_line, "the precision is set here")],
        )
    e.dtype_line = statement
    if e.bound or e.program.places or e.program.outputs:
        e.fail("SyntaxError", "the dtype line must come before everything else", statement, help="move it to the top")
    if e.forced_dtype is None:
        _set_precision(e, name)


# variables and constants


def _declare(e: Elaborator, d: syntax.Declaration) -> None:
    name = d.name.id
    dtype = None
    if d.dtype is not None:
        dtype = statics.dtype(e, d.dtype, e.top)
    shape = statics.sizes(e, d.shape, e.top) if d.shape is not None else None
    initial: Any = None
    at: syntax.Syntax = d
    if d.value is not None:
        at = d.value
        with _in_precision(e, dtype):
            initial = e.node(e.value(d.value, e.top), d.value)
        _constant(e, initial, d.value, "an initial value")
    own_dtype = initial.dtype if initial is not None else None
    replaced = name in e.overrides
    if replaced:
        with _in_precision(e, dtype):
            initial = _override(e, d, e.overrides[name])
        own_dtype = _agreed(own_dtype, str(initial.dtype), e.float_dtype)
    if initial is None:
        leaf = make_leaf(name, d.kind, shape or (), dtype or e.float_dtype, name in e.unsafe)
    else:
        dtype = dtype or own_dtype or str(initial.dtype)
        _convertible(e, str(initial.dtype), dtype, at, d, name if replaced else None)
        given: Shape = tuple(initial.shape)
        if shape is not None and given not in ((), shape):
            e.fail(
                "ShapeError",
                f"`{name}` is declared with shape {show_shape(shape)}, and its value has shape {show_shape(given)}",
                d if replaced else at,
                label=f"shape {show_shape(shape)} declared here" if replaced else f"shape {show_shape(given)}",
                help=f"`--set '{name}=…'` needs {show_shape(shape)}, or a scalar to fill it" if replaced else None,
                also=[] if replaced or d.shape is None or not d.shape else [(d.name, f"shape {show_shape(shape)}")],
            )
        leaf = make_leaf(
            name, d.kind, given if shape is None else shape, dtype, name in e.unsafe or _risky(initial, dtype)
        )
    e.program.places[leaf] = (d.start, d.end)
    e.bind(d.name, leaf, e.top)
    e.program.leaves[name] = leaf
    e.program.names[name] = leaf
    e.program.initial[leaf] = initial


@contextmanager
def _in_precision(e: Elaborator, dtype: str | None) -> Iterator[None]:
    """Reads the numbers in the value of a float64 variable as float64 in a float32 program too: all their digits count."""
    own = e.float_dtype
    if dtype == "float64":
        _set_precision(e, dtype)
    try:
        yield
    finally:
        _set_precision(e, own)


def _set_precision(e: Elaborator, dtype: str) -> None:
    e.program.float_dtype = e.program.derivation.float_dtype = dtype


def _agreed(own: str | None, given: str, float_dtype: str) -> str:
    """The dtype of a declaration without one whose value is replaced: floats stay floats of their own precision."""
    if own is None:
        return float_dtype
    if is_float(own) or not is_float(given):
        return own if own != "bool" else given
    return given if not is_float(own) and is_float(given) else float_dtype


def _risky(initial: Any, dtype: str) -> bool:
    if isinstance(initial, Node):
        # Whoever gives rows knows what they hold in the leaf's dtype.
        column = initial.op.name == "leaf" and initial.attrs["kind"] == "column"
        return initial.risky or initial.dtype == "float64" and dtype == "float32" and not column
    from gradcli.data import is_ordinary

    return not is_ordinary(initial, dtype)


def _convertible(
    e: Elaborator, given: str, dtype: str, at: syntax.Syntax, d: syntax.Declaration, name: str | None
) -> None:
    if given == dtype or (is_float(dtype) and given != "bool") or (is_integer(dtype) and is_integer(given)):
        return
    what = f"the value given for `{name}`" if name else "this value"
    e.fail(
        "TypeError",
        f"{what} is {given} and cannot become {dtype}",
        d if name else at,
        help=f"declare it `{d.kind} {d.name.id}: {given}`" if given in DTYPES else None,
    )


def _override(e: Elaborator, d: syntax.Declaration, given: Any) -> Any:
    """The value of --set or --values: an array, or an expression of the built-ins."""
    if not isinstance(given, str):
        return given
    return e.given(given, f"--set {d.name.id}")


def constant_array(e: Elaborator, leaf: Node) -> Any:
    """The value of a constant for sizes; None for variables and constants without a value."""
    if leaf.attrs["kind"] != "constant":
        return None
    initial = e.program.initial.get(leaf)
    if initial is None:
        return None
    import numpy as np

    if isinstance(initial, Node):
        from gradcli.graph.fold import fold

        value = fold(initial, lambda inner: constant_array(e, inner))
        return None if value is None else np.broadcast_to(np.asarray(value, dtype=leaf.dtype), leaf.shape)
    return np.broadcast_to(np.asarray(initial, dtype=leaf.dtype), leaf.shape)


def finish(e: Elaborator) -> None:
    """What can only be checked at the end: overrides of names that are not variables or constants."""
    for name in e.overrides:
        if name in e.program.leaves:
            continue
        if name in e.program.names:
            raise e.program.computed(name)
        similar = did_you_mean(name, e.program.leaves)
        known = ", ".join(list(e.program.leaves)[:8])
        raise GradcliError(
            "NameError",
            f"the program has no variable or constant `{name}` to set",
            help=f"did you mean `{similar}`?" if similar else (f"it has {known}" if known else "it declares none"),
        )
    if e.last is None and e.program.names:
        e.last = next(reversed(e.program.names))


# ---- programs


def elaborate(program: syntax.Program, source: Source, **options: Any) -> Elaborated:
    """The graph of a program, with the options of :func:`attempt`.

    Raises GradcliError: the error of the first wrong statement, with those of further ones.
    """
    graph, errors = attempt(program, source, **options)
    if errors:
        raise together(errors)
    return graph


def attempt(
    program: syntax.Program,
    source: Source,
    *,
    overrides: Mapping[str, Any] | None = None,
    folder: str | os.PathLike[str] = "",
    dtype: str | None = None,
    seed: int = 0,
    unsafe: Collection[str] = (),
    memory: Memory | None = None,
    readers: Readers | None = None,
    asked: Asked | None = None,
    every_call: bool = False,
    written_out: bool = False,
) -> tuple[Elaborated, list[GradcliError]]:
    """The graph of those statements of a program that are right, and the errors of the others, in their order.

    ``overrides`` holds values for variables and constants: an array, or a text in the language. ``folder`` is where
    ``load`` reads, ``memory`` what that may take, and ``readers`` the processes that share the rows of files. ``unsafe`` names variables and constants that may hold NaN or
    infinity, whatever their value is now. With ``asked`` derivatives may be missing that those names do not need. With
    ``every_call`` calls inside calls are kept, too. Loops are ``written_out`` step by step, or nodes.

    After an error the names of its statement are unknown, and so are those of statements that use them, without errors
    of their own.
    """
    elaborator = Elaborator(source, overrides or {}, folder, dtype, seed)
    elaborator.unsafe = unsafe
    elaborator.memory = memory
    elaborator.readers = readers
    elaborator.templated &= not every_call
    elaborator.written_out = written_out
    statements: Sequence[syntax.Statement] = program.statements
    elaborator.statements = statements
    if asked is not None and any([word in source.text for word in ("gradients", *FORMS)]):
        from gradcli.language.needed import without_unasked

        of, also = asked
        statements = without_unasked(statements, (of, {*also, *elaborator.overrides}))
    if len(source.text) > LONG and not without("scalars"):
        from gradcli.language.scalars import value_of

        elaborator.quick_value = value_of
    errors: list[GradcliError] = []
    whole, until = True, inf
    with uncollected():
        for statement in statements:
            if not whole and monotonic() > until:
                break
            try:
                if not statement.quickly(elaborator):
                    execute(elaborator, statement)
            except RecursionError:
                message = "calls of gradients or sizes are nested too deeply in one another"
                errors.append(GradcliError("LimitError", message))
                break
            except GradcliError as error:
                until = min(until, monotonic() + FURTHER)
                whole = False
                if not isinstance(error, UnknownError):
                    elaborator.add_calls(error)
                    errors.append(error)
                    if error.kind == "LimitError" or len(errors) == MOST:
                        break
                elaborator.give_up(statement)
    if whole and not errors:
        try:
            finish(elaborator)
        except GradcliError as error:
            errors.append(error)
    return elaborator.program, errors

"""Statements: declarations, definitions, outputs and seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import GradcliError, counted, did_you_mean
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import Operation
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.types import DTYPES, Shape, is_float, is_integer, show_shape
from gradcli.language import statics, syntax
from gradcli.language.lexer import LINES
from gradcli.language.values import Missing, Scope, Several, UserFunction, Value, Weak

if TYPE_CHECKING:
    from gradcli.language.elaborate import Elaborator


def execute(e: Elaborator, statement: syntax.Statement) -> None:
    match statement:
        case syntax.Assignment():
            expression = statement.value
            assign(e, statement, e.quick_value(e, expression) or e.value(expression, e.top), e.top)
        case syntax.Declaration():
            _declare(e, statement)
        case syntax.Function():
            define(e, statement, e.top)
        case syntax.Output():
            for name in statement.names:
                _known(e, name)
                e.program.outputs.append(name.id)
        case syntax.Seed():
            _seed(e, statement)
        case syntax.Dtype():
            _dtype(e, statement)
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


def define(e: Elaborator, function: syntax.Function, scope: Scope) -> None:
    """Bind a function in a scope, whose names it sees."""
    seen: dict[str, syntax.Name] = {}
    for p in function.parameters:
        if p.name.id in seen:
            e.fail(
                "NameError",
                f"two parameters of `{function.name.id}` are called `{p.name.id}`",
                p.name,
                also=[(seen[p.name.id], "the first")],
            )
        seen[p.name.id] = p.name
    from gradcli.language.least import of_function

    least = of_function(function, scope.find, e.constants, e.operations)
    e.bind(function.name, UserFunction(function, scope, least), scope)


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


def assign(e: Elaborator, statement: syntax.Assignment, value: Value, scope: Scope) -> None:
    targets = statement.targets
    if isinstance(value, Several) or len(targets) > 1 or isinstance(statement, syntax.Unpacking):
        values = _unpacked(e, statement, value)
    else:
        values = [value]
    for target, item in zip(targets, values, strict=True):
        if isinstance(item, (UserFunction, Operation, Weak)):
            item = e.node(item, statement.value)
        e.bind(target, item, scope)
        if scope.function is None:
            bound = e.bound[target.id].value
            assert isinstance(bound, (Node, Missing))
            e.program.names[target.id] = bound
            e.program.definitions.append(target.id)
            e.last = target.id


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
    if name.id in e.bound:
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
    """What can only be checked at the end: overrides of names that are no variables or constants."""
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

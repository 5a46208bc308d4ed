"""All ways to an answer: every command, with one optimisation at a time, compiled, by rows, derived, mended, as a module.

:func:`disagreements` asks a program everything in the plainest way, with all optimisations off, and then in each other way.
Answers agree when the same is None, NaN and infinite, and the rest is equal but for rounding. How much that is, is found
by the plain way itself: with a rounding error put on each operation's result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gradcli
from gradcli.data.rows import Rows
from gradcli.execute import choose, entries
from gradcli.features.derive import formulas, numpy_module
from gradcli.features.derive.answer import derive
from gradcli.features.lint.mended import mend
from gradcli.features.matrices.answer import hessians, jacobians, tangents_of
from gradcli.features.points.answer import Points
from gradcli.features.points.varied import Item
from gradcli.graph.node import TABLE, Node, cone
from gradcli.graph.operation import Contraction, Operation
from gradcli.graph.ops import half_angle
from gradcli.graph.ops.ruled import solution
from gradcli.graph.types import is_float
from gradcli.language import functions, looping
from gradcli.program import apart, query
from gradcli.program.answers import gradients as gradients_of
from gradcli.program.answers import values as results_of
from tests.tiny_tiles import shrink

SWITCHES = [
    "simplify", "tiles", "halfangle", "sweep", "repeated", "scalars", "templates", "plain", "straight", "loops", "entries",
    "order", "apart",
]  # fmt: skip

Answers = dict[str, Any]
"""Arrays, None, or the kind of an error, each by what was asked."""


@contextmanager
def without(*switches: str) -> Iterator[None]:
    """Some optimisations off, the limits of all others so low that they are used."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADCLI_WITHOUT", ",".join(switches))
        if "sweep" not in switches:
            patch.setattr(choose, "OPERATIONS", 0)
        if "tiles" not in switches:
            shrink(patch, 64)
        patch.setattr(half_angle, "FEWEST", 1)
        patch.setattr(functions, "FEW", 0)
        patch.setattr(looping, "WRITTEN_OUT", 0)
        patch.setattr(entries, "ARRAY", 10**12)
        patch.setattr(apart, "LEAST", 1)
        yield


def guarded(answers: Answers, label: str, ask: Callable[[], Mapping[str, Any]]) -> None:
    """Add some answers, or the kind of the error that came instead."""
    try:
        found = ask()
    except gradcli.GradcliError as error:
        answers[label] = error.kind
        return
    for name, value in found.items():
        answers[f"{label} {name}"] = None if value is None else np.asarray(value)


def results(found: Any) -> dict[str, Any]:
    return {r.name: r.value for r in found}


def everything(text: str, plain: bool = False) -> Answers:
    return everything_of(gradcli.loads(text), plain)


def everything_of(program: gradcli.Program, plain: bool = False) -> Answers:
    """What the commands answer: eval, grad of orders 1 to 3, jacobian, hessian, jvp."""
    answers: Answers = {}
    guarded(answers, "eval", lambda: results(results_of(program, plain=plain)))
    for order in (1, 2, 3):
        guarded(
            answers,
            f"grad {order}",
            lambda order=order: results(gradients_of(program, ["y"], order=order, plain=plain).orders[-1][1]),
        )
    if not plain:
        guarded(answers, "jacobian", lambda: program.jacobian(["y"])["y"])
        guarded(
            answers, "hessian", lambda: {f"{a} {b}": v for a, r in program.hessian(["y"]).items() for b, v in r.items()}
        )
        guarded(answers, "jvp", lambda: program.jvp(dict.fromkeys(floats(program), 1.0), ["y"]))
    return answers


def floats(program: gradcli.Program) -> list[str]:
    return [x for x in program.variables if is_float(program.graph.leaves[x].dtype)]


def others(program: gradcli.Program, seed: int) -> dict[str, Any]:
    """Other values for the variables of a program: special ones, or the program's own with another sign."""
    random = np.random.RandomState(seed)
    special = [0.0, np.inf, -np.inf, np.nan, 1e200, 5e-324, 1.0, -0.5]
    found = {}
    for x in program.variables:
        own = program.leaf_value(program.graph.leaves[x])
        if own.dtype.kind == "f":
            with np.errstate(over="ignore"):
                drawn = np.asarray(random.choice(special, size=own.shape)).astype(own.dtype)
            found[x] = np.where(random.random_sample(own.shape) < 0.3, drawn, -own)
        else:
            found[x] = own.copy()
    return found


def compiled(text: str, before: bool = False) -> Answers:
    """Values and gradients of a compiled function of the program's own values, perhaps called with other ones before."""
    answers: Answers = {}
    program = gradcli.loads(text)
    names = [name for name in program.graph.definitions if isinstance(program.graph.names[name], Node)]
    given = program.eval(program.variables)

    def called(function: Callable[..., dict[str, Any]]) -> dict[str, Any]:
        if before:
            with suppress(gradcli.GradcliError):
                function(**others(program, len(text)))
        return function(**given)

    guarded(answers, "eval", lambda: called(program.compile(names, program.variables)))
    with suppress(gradcli.GradcliError):
        for x in [x for x, g in program.grad(["y"]).items() if g is not None]:
            again = gradcli.loads(f"{text}gradient = gradients(y, {x})\n")
            guarded(
                answers,
                "grad 1",
                lambda again=again, x=x: {x: called(again.compile(["gradient"], again.variables))["gradient"]},
            )
    return answers


def given(text: str) -> Answers:
    """What a program with other values says that is given its own ones."""
    program = gradcli.loads(text)
    own = {x: program.leaf_value(program.graph.leaves[x]) for x in program.variables}
    return everything_of(program.with_values(others(program, len(text))).with_values(own))


def rows(text: str, beside: bool = False) -> Answers:
    """What the commands answer for two rows that hold the program's own values, or the second one does."""
    answers: Answers = {}
    program = gradcli.loads(text)
    graph = program.graph
    own = {x: program.leaf_value(graph.leaves[x]) for x in program.variables}
    first = others(program, len(text)) if beside else own
    block = Rows(np.array([1, 2]), {x: np.stack([first[x], v]) for x, v in own.items()}, [], 0)

    def ask(label: str, question: Callable[[gradcli.Program], list[Item]]) -> None:
        def found() -> dict[str, Any]:
            values: dict[str, Any] = {}
            for reply in Points(program, question, "rows", skip_bad=True).answers(block):
                for number, problem in reply.bad:
                    if number == 2:
                        raise problem
                for i in np.flatnonzero(np.asarray(reply.numbers) == 2):
                    for item, value in zip(reply.items, reply.values, strict=True):
                        values[" ".join(item.path)] = None if value is None else value[i]
            return values

        guarded(answers, label, found)

    ask("eval", lambda p: [Item((r.name,), r.name, r.value) for r in results_of(p)])
    for n in (1, 2, 3):
        ask(
            f"grad {n}",
            lambda p, n=n: [Item((r.name,), r.name, r.value) for r in gradients_of(p, ["y"], order=n).orders[-1][1]],
        )
    ask("jacobian", lambda p: [Item((b.column,), b.name, b.value) for b in jacobians(p, ["y"]).blocks])
    ask("hessian", lambda p: [Item((b.row, b.column), b.name, b.value) for b in hessians(p, ["y"]).blocks])
    ones = {x: np.array(1.0) for x in floats(program)}
    ask("jvp", lambda p: [Item((r.name,), r.name, r.value) for r in tangents_of(p, ones, ["y"])])
    return answers


def written(text: str, order: int) -> Answers:
    """The gradients that a derived program evaluates to."""
    answers: Answers = {}
    program = gradcli.loads(text)

    def found() -> dict[str, Any]:
        derived = derive(program, ["y"], order=order, with_rules=True)
        values = gradcli.loads(formulas.render(derived)).eval([g.name for g in derived.gradients])
        return {g.x: values[g.name] for g in derived.gradients}

    guarded(answers, f"grad {order}", found)
    return answers


def module(text: str, order: int) -> Answers:
    """The gradients that a NumPy module computes; nothing of a program that searches for a root, which modules do not."""
    answers: Answers = {}
    program = gradcli.loads(text)
    if any([node.op is solution for node in cone([query.target(program, "y")])]):
        return answers

    def found() -> dict[str, Any]:
        scope: dict[str, Any] = {}
        exec(compile(numpy_module.render(derive(program, ["y"], order=order)), "<module>", "exec"), scope)
        try:
            with np.errstate(all="ignore"):
                return dict(scope["gradient"]())
        except (ValueError, IndexError, ZeroDivisionError, np.linalg.LinAlgError):
            raise gradcli.GradcliError("ValueError", "the module failed") from None

    guarded(answers, f"grad {order}", found)
    return answers


def mended(text: str, plainly: Answers) -> Answers:
    """What the plain way says of the text that ``lint --fix`` leaves; where that says more, what the first text says."""
    program = gradcli.loads(text)
    if any(leaf.risky or vanishes(program.leaf_value(leaf)) for leaf in program.graph.leaves.values()):
        return {}  # an edit may change what is not finite, and keep what underflows
    found = mend(text, "<mended>")
    if found.text == text:
        return {}
    answers: Answers = {}
    for label, value in everything(found.text).items():
        before = plainly.get(label)
        kept = isinstance(before, np.ndarray) and isinstance(value, np.ndarray) and before.shape == value.shape
        answers[label] = (
            np.where(np.isfinite(before), value, before) if kept else before if before is not None else value
        )
    return answers


def vanishes(x: Any) -> bool:
    """Whether the fourth power of an entry other than 0 underflows."""
    if x.dtype.kind != "f":
        return False
    with np.errstate(all="ignore"):
        return bool(((x != 0) & (abs(x) ** 4 < np.finfo(x.dtype).tiny)).any())


def ways(text: str, plainly: Answers) -> Iterator[tuple[str, Callable[[], Answers]]]:
    """Every other way by name."""
    for switch in SWITCHES:
        others = [s for s in SWITCHES if s != switch]
        if switch in ("simplify", "tiles", "sweep", "scalars", "loops"):
            yield switch, lambda others=others: _with(others, lambda: everything(text))
    yield "entries", lambda: _with([s for s in SWITCHES if s not in ("loops", "entries")], lambda: everything(text))
    yield "all", lambda: _with([], lambda: everything(text))
    yield "plain", lambda: _with([s for s in SWITCHES if s != "plain"], lambda: everything(text, plain=True))
    yield "compile", lambda: compiled(text)
    yield "compile without straight", lambda: _with(["straight"], lambda: compiled(text))
    yield "compile after others", lambda: compiled(text, before=True)
    yield "given", lambda: given(text)
    yield "rows", lambda: rows(text)
    yield "rows beside others", lambda: rows(text, beside=True)
    for order in (1, 2):
        yield f"derive {order}", lambda order=order: written(text, order)
        yield f"module {order}", lambda order=order: module(text, order)
    yield "lint", lambda: mended(text, plainly)


def _with(switches: list[str], ask: Callable[[], Answers]) -> Answers:
    with without(*switches):
        return ask()


def disagreements(text: str, only: str = "") -> list[str]:
    """A line for each answer that another way gives differently."""
    with without(*SWITCHES):
        plainly = everything(text)
    noise: list[Answers] = []
    lines: list[str] = []
    for way, ask in ways(text, plainly):
        if only and way != only:
            continue
        try:
            answers = ask()
        except gradcli.GradcliError as error:
            lines.append(f"{way}: {error.kind}: {error.message}")
            continue
        except Exception as problem:  # noqa: BLE001
            lines.append(f"{way}: {type(problem).__name__}: {problem}")
            continue
        for label, value in answers.items():
            if label not in plainly:
                command = label.rsplit(" ", 1)[0]
                if command not in plainly and label.split(" ")[0] not in plainly:
                    lines.append(f"{way}: {label}: {shown(value)}, which has no counterpart")
                elif isinstance(value, np.ndarray) or plainly.get(command, plainly.get(label.split(" ")[0])) != value:
                    lines.append(f"{way}: {label}: {shown(value)}, plainly {plainly.get(command)}")
                continue
            if not agree(value, plainly[label]):
                if not noise:
                    noise = [noisy(text, seed) for seed in range(4)]
                if not explained(label, value, plainly[label], noise):
                    lines.append(f"{way}: {label}: {shown(value)}, plainly {shown(plainly[label])}")
    return lines


def shown(value: Any) -> str:
    return str(value.tolist()) if isinstance(value, np.ndarray) else str(value)


def agree(mine: Any, other: Any) -> bool:
    if not isinstance(mine, np.ndarray) or not isinstance(other, np.ndarray):
        return mine is other if mine is None or other is None else mine == other
    if mine.shape != other.shape or mine.dtype != other.dtype:
        return False
    if mine.dtype.kind != "f":
        return bool(np.array_equal(mine, other))
    a, b = mine.astype(np.longdouble), other.astype(np.longdouble)
    finite = np.isfinite(a)
    if not np.array_equal(finite, np.isfinite(b)) or not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return False
    info = np.finfo(mine.dtype)
    tolerance = 64 * float(info.eps) * np.maximum(abs(a), abs(b)) + 64 * float(info.smallest_subnormal)
    with np.errstate(all="ignore"):
        return bool((abs(a - b) <= tolerance)[finite].all())


def explained(label: str, mine: Any, plain: Any, noise: list[Answers]) -> bool:
    """Whether rounding alone may make the difference: it changes what is finite, or values by as much."""
    others = [answers.get(label) for answers in noise]
    if any(label not in answers for answers in noise):
        return True  # they end in an error instead
    if (
        not isinstance(mine, np.ndarray)
        or not isinstance(plain, np.ndarray)
        or mine.dtype != plain.dtype
        or mine.shape != plain.shape
    ):
        return False
    if mine.dtype.kind != "f":
        return any(not np.array_equal(other, plain) for other in others)
    with np.errstate(all="ignore"):
        wide = [other.astype(np.longdouble) for other in [plain, *others]]
        moved = np.any([~alike(other, plain) & ~(np.isfinite(other) & np.isfinite(plain)) for other in others], axis=0)
        same = alike(mine, plain) | moved
        spread = 100 * np.nan_to_num(np.max(wide, axis=0) - np.min(wide, axis=0))
        both = np.isfinite(plain) & np.isfinite(mine)
        near = abs(mine.astype(np.longdouble) - plain) <= spread + 64 * np.finfo(mine.dtype).eps * abs(plain)
        return bool(np.all(same | both & near))


def alike(a: Any, b: Any) -> Any:
    return (a == b) | np.isnan(a) & np.isnan(b)


def noisy(text: str, seed: int) -> Answers:
    """The plain answers with an error of one unit in the last place on what operations give, where that is not exact.

    What is summed up meets in another order.
    """
    random = np.random.RandomState(seed)

    def reordered(op: Operation, inputs: Sequence[Any], attrs: dict[str, Any]) -> Sequence[Any]:
        if op.flow == "accumulated":
            labels, out = [tuple(range(inputs[0].ndim))], tuple({*range(inputs[0].ndim)} - {*attrs["axis"]})
        elif isinstance(op.rule, Contraction):
            sizes = [SimpleNamespace(rank=x.ndim, shape=x.shape) for x in inputs]
            labels, out = op.rule.labels(sizes, attrs)  # type: ignore[arg-type]
        else:
            return inputs
        lengths = {k: n for x, of in zip(inputs, labels, strict=True) for k, n in zip(of, x.shape, strict=True)}
        orders = {k: random.permutation(n) for k, n in lengths.items() if k not in out}
        moved = list(inputs)
        for i, of in enumerate(labels):
            for axis, k in enumerate(of):
                if k in orders:
                    moved[i] = np.take(moved[i], orders[k], axis)
        return moved

    def wrapped(op: Operation, kernel: Callable[..., Any]) -> Callable[..., Any]:
        def rounded(xp: Any, *inputs: Any, **attrs: Any) -> Any:
            y = kernel(xp, *reordered(op, inputs, attrs), **attrs)
            if getattr(y, "dtype", None) not in (np.float32, np.float64):
                return y
            with np.errstate(all="ignore"):
                round_number = ((y * 2**10) % 1 == 0) & (abs(y) < 2**20)
                step, info = random.choice([-1, 0, 1], size=np.shape(y)), np.finfo(y.dtype)
                moved = y * (1 + step * info.eps) + step * info.smallest_subnormal
                return np.where(round_number, y, moved.astype(y.dtype))[()]

        return rounded

    exact = {"leaf", "literal", "array", "where", "identity", "stop_gradient", "neg", "index", "unindex", "reshape"}
    with pytest.MonkeyPatch.context() as patch, without(*SWITCHES):
        for op in TABLE.values():
            if op.kernel is not None and op.name not in exact and op.family not in ("shape", "selection", "creation"):
                patch.setattr(op, "kernel", wrapped(op, op.kernel))
        with suppress(gradcli.GradcliError):
            return everything(text)
    return {}

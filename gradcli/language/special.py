"""The words that are carried out while a program is elaborated: gradients, iterate, shape, rank, size, load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradcli.autodiff import reverse
from gradcli.diagnostics import GradcliError, did_you_mean, on_one_line
from gradcli.graph.node import Node
from gradcli.graph.operation import Operation, literal
from gradcli.graph.ops.creation import LOOPS, Data, Origin
from gradcli.graph.types import size_of
from gradcli.language import derivatives, statics, syntax
from gradcli.language.expressions import entries, labelled
from gradcli.language.reasons import explain
from gradcli.language.values import Missing, Scope, Several

if TYPE_CHECKING:
    from gradcli.language.elaborate import Elaborator


def enter(e: Elaborator, op: Operation, bound: dict[str, Any], call: syntax.Call, scope: Scope) -> None:
    """Begin with a call of a word that is carried out before anything is evaluated."""
    if op.name == "gradients" or op.name in derivatives.FORMS:
        e.open_frame(op.name, call)
        made = _gradients if op.name == "gradients" else derivatives.enter
        e.values.append(made(e, op.name, bound, call, scope))
        e.close_frame(e.values[-1])
    elif op.name in LOOPS:
        from gradcli.language import looping

        looping.enter(e, op, bound, call, scope)
    elif op.name == "load":
        e.values.append(_load(e, bound, call, scope))
    else:
        e.push(lambda _, __: e.values.append(_measure(e, op.name, e.node(e.values.pop(), bound["x"]), call)))
        e.push(e.enter, bound["x"], scope)


def _measure(e: Elaborator, what: str, x: Node, call: syntax.Call) -> Node:
    place = (call.start, call.end)
    if what == "shape":
        return e.array(x.shape, (x.rank,), e.integer_dtype, place)
    return e.mark(literal(x.rank if what == "rank" else size_of(x.shape), e.integer_dtype), place)


def _load(e: Elaborator, bound: dict[str, Any], call: syntax.Call, scope: Scope) -> Node:
    """Data of a file below the program's folder, links resolved; text files hold no dtype and take the program's."""
    from pathlib import Path

    from gradcli.data import is_ordinary
    from gradcli.data.memory import Memory
    from gradcli.data.reading import read_array

    text = statics.string(e, bound["path"], scope)
    key = statics.string(e, bound["key"], scope) if "key" in bound else None
    missing: Any = statics.string(e, bound["missing"], scope) if "missing" in bound else None
    if missing not in (None, "drop", "nan"):
        e.fail("ValueError", f'missing is "drop" or "nan", not {missing!r}', bound["missing"])
    if not text:
        e.fail("ValueError", "load needs a file name", bound["path"])
    folder = Path(e.folder).resolve()
    try:
        path = (folder / text).resolve()
    except (OSError, ValueError, RuntimeError):
        e.fail("DataError", f"{text!r} is not a file name", bound["path"])
    if not path.is_relative_to(folder):
        e.fail(
            "DataError",
            "load reads only below the program's own folder",
            bound["path"],
            label="this leads outside",
            help="copy the file there, or give the value with `--set NAME=@FILE`",
        )
    try:
        memory = (e.outer or e).memory
        values: Any = None
        if (readers := (e.outer or e).readers) is not None:
            from gradcli.data.shares import shared_rows

            values = shared_rows(path, key, missing, memory or Memory(), readers)
        if values is None:
            values = read_array(
                path, key, pipes=False, choose=lambda key: f'load("{text}", "{key}")', memory=memory, missing=missing
            )
    except GradcliError as error:
        raise labelled(e, error, bound["path"], []) from None
    dtype = str(values.dtype)
    if not path.name.lower().removesuffix(".gz").endswith((".npy", ".npz")):
        dtype = {"float64": e.float_dtype, "int64": e.integer_dtype}.get(dtype, dtype)
        values = values.astype(dtype)
    shared = isinstance(values, Data)
    data = values if shared else Data(values, Origin(str(path), key, missing))
    node = e.array(data, tuple(values.shape), dtype, (call.start, call.end))
    node.risky = not (values.ordinary if shared else is_ordinary(values))
    return node


# gradients(ys, xs, grad_ys, stop_gradients, unconnected_gradients)


def _gradients(
    e: Elaborator, _: str, bound: dict[str, Any], call: syntax.Call, scope: Scope
) -> Node | Missing | Several:
    place = (call.start, call.end)
    given_ys, listed = entries(e, bound["ys"], scope)
    if not given_ys:
        e.fail("ValueError", "gradients needs at least one y", bound["ys"])
    ys = [e.node(value, y) for value, y in given_ys if value is not None]
    x_places = derivatives.names(e, bound["xs"], "xs", scope)
    xs = [node for node, _ in x_places]
    if not xs:
        e.fail("ValueError", "gradients needs at least one x", bound["xs"])
    heads, head_places = _heads(e, bound.get("grad_ys"), bound["ys"], listed, len(ys), scope)
    given = bound.get("stop_gradients")
    stops = (
        []
        if given is None or statics.is_none(given)
        else [node for node, _ in derivatives.names(e, given, "stop_gradients", scope)]
    )
    policy = "none"
    if (mode := bound.get("unconnected_gradients")) is not None:
        policy = (statics.string(e, mode, scope) or "none").lower()
        if policy not in ("none", "zero"):
            similar = did_you_mean(policy, ("none", "zero"))
            e.fail(
                "ValueError",
                'unconnected_gradients is "none" or "zero"',
                mode,
                help=f'did you mean "{similar}"?' if similar else None,
            )
    e.differentiates(ys, xs, stops)
    try:
        with e.program.derivation.active():
            found = reverse.gradients(ys, xs, heads, stops)
    except GradcliError as error:
        raise labelled(e, error, call, head_places or [call]) from None
    results: list[Node | Missing] = []
    for (x, name), g in zip(x_places, found, strict=True):
        if g is not None:
            results.append(derivatives.own(e, g, place))
        elif policy == "zero":
            results.append(derivatives.own(e, reverse.zero_gradient(x), place))
        else:
            y_names = dict.fromkeys([on_one_line(e.source.text[y.start : y.end]) for _, y in given_ys])
            results.append(_missing(e, list(y_names), ys, name.id, x, stops))
    if isinstance(bound["xs"], syntax.List):
        return Several(tuple(results), "gradient")
    return results[0]


def _missing(e: Elaborator, y_names: list[str], ys: list[Node], x_name: str, x: Node, stops: list[Node]) -> Missing:
    program = e.program
    return Missing(lambda: explain(program, y_names, ys, x_name, x, stops))


def _heads(
    e: Elaborator, given: syntax.Expression | None, ys: syntax.Expression, listed: bool, count: int, scope: Scope
) -> tuple[list[Node | None] | None, list[syntax.Expression]]:
    """The head gradients, and where each is written."""
    if given is None or statics.is_none(given):
        return None, []
    # For a single y, brackets are an array.
    found, matches = entries(e, given, scope, may_be_none=True) if listed else ([(e.value(given, scope), given)], True)
    if not matches or not listed and isinstance(found[0][0], Several):
        e.fail("TypeError", "grad_ys is a list exactly when ys is one", given, also=[(ys, "ys")])
    if len(found) != count:
        e.fail("ValueError", f"grad_ys needs one entry for each of the {count} ys, not {len(found)}", given)
    return [None if value is None else e.node(value, at) for value, at in found], [at for _, at in found]

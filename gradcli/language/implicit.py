"""``root`` and ``minimize``: what solves a system, with the derivatives of the implicit function theorem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradcli.autodiff import implicit, reverse
from gradcli.graph.loops import enclosed, placeholder
from gradcli.graph.node import Node
from gradcli.graph.operation import cast_to
from gradcli.graph.ops.ruled import STEPS, TOLERANCE, System, ruled, solution
from gradcli.graph.types import is_float, show_shape, size_of
from gradcli.language import functions, statics, syntax
from gradcli.language.values import Scope

if TYPE_CHECKING:
    from gradcli.language.elaborate import Elaborator

MOST_STEPS = 1_000_000
LARGEST = 2_000
"""Entries up to which the matrix of a system is made."""


def solved(e: Elaborator, bound: dict[str, Any], call: syntax.Call, scope: Scope) -> Node:
    """The node of a call: the value that Newton's method finds, with the rule of the theorem."""
    assert isinstance(call.function, syntax.Name)
    word = call.function.id
    function = functions.named(e, bound["f"], scope, word)
    functions.check_takes(e, function, 1, bound["f"])
    x0 = e.node(e.value(bound["x0"], scope), bound["x0"])
    x0 = x0 if is_float(x0.dtype) else cast_to(x0, e.float_dtype)
    steps = statics.integer(e, bound["steps"], scope) if "steps" in bound else STEPS[word]
    if not 1 <= steps <= MOST_STEPS:
        e.fail("ValueError", f"{word} takes from 1 to {MOST_STEPS:,} steps, not {steps}", bound["steps"])
    tol = statics.number(e, bound["tol"], scope) if "tol" in bound else None
    tol = TOLERANCE[x0.dtype] if tol is None else tol
    if not 0 < tol < 1:
        e.fail("ValueError", f"the tolerance of {word} is relative to x, above 0 and below 1, not {tol}", bound["tol"])
    count = size_of(x0.shape)
    if count > LARGEST:
        e.fail("LimitError", f"{word} solves for at most {LARGEST} entries, not {count}", bound["x0"])
    x = placeholder(x0)
    found = functions.applied(e, function, [x], call)
    shape = x.shape if word == "root" else ()
    if len(found) != 1 or found[0].shape != shape or not is_float(found[0].dtype):
        got = f"{len(found)} values" if len(found) != 1 else f"{found[0].dtype}{show_shape(found[0].shape)}"
        needs = f"an f of the shape of x, {show_shape(shape)}" if word == "root" else "a scalar f"
        e.fail(
            "ShapeError" if len(found) == 1 and is_float(found[0].dtype) else "TypeError",
            f"{word} needs {needs}, and `{getattr(bound['f'], 'id', 'f')}` gives {got}",
            bound["f"],
            also=[(bound["x0"], f"x has shape {show_shape(x.shape)}")],
        )
    f = cast_to(found[0], x.dtype)
    with e.program.derivation.active():
        residual: Node | None = f
        if word == "minimize":
            (residual,) = reverse.gradients([f], [x])
        matrix = implicit.square_jacobian(residual, x) if residual is not None else None
        if residual is None or matrix is None:
            what = "f does not depend on x" if word == "root" or residual is None else "f is linear, and has no minimum"
            e.fail("ValueError", f"{word} cannot find an x: {what}", bound["f"])
        fixed = enclosed([x], [], [residual, matrix, f], [], 1).fixed
        rule = implicit.of_system(x, fixed, residual, matrix)
    system = System(x, fixed, residual, matrix, f if word == "minimize" else None, float(tol), steps)
    e.program.has_loops = True
    value = e.mark(solution(x0, *fixed, system=system), (call.start, call.end))
    return e.mark(ruled(value, *fixed, rule=rule), (call.start, call.end))

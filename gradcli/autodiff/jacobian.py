"""Jacobians and Hessians: reverse mode with the identity as seed (see :mod:`gradcli.autodiff.sweep`).

Where reverse mode would write out a larger array than forward mode, one direction for each entry of x, that is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gradcli.autodiff import degree, reverse, views
from gradcli.autodiff.sweep import Carried, Sweep, total
from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Derivation, Node, cone, current_derivation, derived_float
from gradcli.graph.operation import cast_to
from gradcli.graph.ops.creation import zeros
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.ops.selection import zero
from gradcli.graph.types import is_float, show_shape, size_of

WIDER = 4
"""By how much the largest array of reverse mode must be the larger one."""

WIDE = 1_000_000
"""Entries that it must have: forward mode gives NaN for 0 where a row has another entry that is not finite."""


def jacobian(y: Node, xs: Sequence[Node], stops: Iterable[Node] = ()) -> list[Node]:
    """The derivative of every entry of y with respect to every entry of each x: shape ``y.shape + x.shape``.

    Entries are zeros where y does not depend on x, never None; those of integer programs are floats. Source: Laue, Mitterreiter, Giesen, *A Simple and
    Efficient Tensor Calculus* (AAAI 2020).
    """
    stops = list(stops)
    derivation = current_derivation() or Derivation()
    with derivation.active():
        dtype = y.dtype if is_float(y.dtype) else derived_float()
        seed = views.identity_view(y.shape)
        sweep = Sweep(derivation, y.shape, dtype)
        found = sweep.run([(y, Carried([seed]))], {x for x in xs if x.dtype != "bool"}, set(stops))
        arrays = {x: total(got.parts, (*y.shape, *x.shape), dtype) for x in xs if (got := found.get(x))}
        for x in _wide(y, arrays):
            from gradcli.autodiff import forward  # few Jacobians need it

            arrays[x] = forward.jacobian(y, x, stops) or arrays[x]
        results: list[Node] = []
        limits = degree.last_orders([y], xs, stops)
        for x, limit in zip(xs, limits, strict=True):
            own = x.dtype if is_float(x.dtype) else dtype
            if x not in arrays:
                results.append(zeros(shape=(*y.shape, *x.shape), dtype=own))
            else:
                array = cast_to(arrays[x], own)
                # Constant but for a connection that was looked through: its own gradient is 0, as that of x^0, not None.
                if is_float(x.dtype) and limit > 1 and x not in cone([array], since=x.serial):
                    array = array + sum_(zero(x), axis=None)
                results.append(array)
        return results


def _wide(y: Node, arrays: Mapping[Node, Node]) -> list[Node]:
    """The xs whose Jacobian would take an array that is much larger than itself and than all of forward mode."""
    found: list[Node] = []
    widest = 0
    for x, array in arrays.items():
        size = size_of(x.shape)
        if size and size_of(y.shape) > size and is_float(x.dtype) and is_float(y.dtype):
            widest = widest or max([size_of(node.shape) for node in cone([y])])
            largest = max([size_of(node.shape) for node in cone([array], since=y.serial)])
            if largest > max(WIDER * size * widest, WIDE):
                found.append(x)
    return found


def hessian(y: Node, xs: Sequence[Node], stops: Iterable[Node] = ()) -> list[list[Node]]:
    """The blocks of second derivatives of a scalar y: block i, j has shape ``xs[i].shape + xs[j].shape``.

    Raises GradcliError (ShapeError) where y is not a scalar.
    """
    if size_of(y.shape) != 1:
        raise GradcliError(
            "ShapeError",
            f"hessian needs a scalar, not shape {show_shape(y.shape)}",
            operands=[(0, f"shape {show_shape(y.shape)}")],
            help="add its entries up, `sum(y)`, or take `jacobian(gradients(y, x), x)`",
        )
    derivation = current_derivation() or Derivation()
    with derivation.active():
        stops = list(stops)
        blocks: list[list[Node]] = []
        for x, g in zip(xs, reverse.gradients([y], xs, None, stops), strict=True):
            if g is None:
                dtypes = [other.dtype if is_float(other.dtype) else derived_float() for other in xs]
                blocks.append([zeros(shape=(*x.shape, *o.shape), dtype=d) for o, d in zip(xs, dtypes, strict=True)])
            else:
                blocks.append(jacobian(g, xs, stops))
        return blocks

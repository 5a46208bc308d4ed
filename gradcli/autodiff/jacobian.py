"""Jacobians and Hessians: reverse mode with the identity as seed (see :mod:`gradcli.autodiff.sweep`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gradcli.autodiff import degree, reverse, views
from gradcli.autodiff.sweep import Sweep, total
from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Derivation, Node, cone, current_derivation, derived_float
from gradcli.graph.operation import cast_to
from gradcli.graph.ops.creation import zeros
from gradcli.graph.ops.reductions import sum_
from gradcli.graph.ops.selection import zero
from gradcli.graph.types import is_float, show_shape, size_of


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
        found = sweep.run([(y, [seed], None)], {x for x in xs if x.dtype != "bool"}, set(stops))
        results: list[Node] = []
        limits = degree.last_orders([y], xs, stops)
        for x, limit in zip(xs, limits, strict=True):
            own = x.dtype if is_float(x.dtype) else dtype
            shape = (*y.shape, *x.shape)
            got = found.get(x)
            if not got:
                results.append(zeros(shape=shape, dtype=own))
            else:
                array = cast_to(total(got[0], shape, dtype), own)
                # Constant but for a connection that was looked through: its own gradient is 0, as that of x^0, not None.
                if is_float(x.dtype) and limit > 1 and x not in cone([array], since=x.serial):
                    array = array + sum_(zero(x), axis=None)
                results.append(array)
        return results


def hessian(y: Node, xs: Sequence[Node], stops: Iterable[Node] = ()) -> list[list[Node]]:
    """The blocks of second derivatives of a scalar y: block i, j has shape ``xs[i].shape + xs[j].shape``.

    Raises GradcliError (ShapeError) where y is no scalar.
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

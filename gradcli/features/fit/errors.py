"""How well fitted values are known: their covariance by exact derivatives, and what of a fit's statistics has a meaning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradcli.autodiff.jacobian import jacobian
from gradcli.data.memory import check_room
from gradcli.diagnostics import GradcliError, counted
from gradcli.features.fit.choice import joined, squared_terms
from gradcli.features.fit.objective import Objective, Values
from gradcli.features.fit.regression import regression
from gradcli.features.fit.training import Bounds
from gradcli.graph.node import Node
from gradcli.graph.ops.shaping import reshaped
from gradcli.graph.types import show_entry, size_of
from gradcli.program import query
from gradcli.program.loaded import Loaded
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.features.fit.normal import Normal

Array = Any

LEVEL = 0.95
"""The level of the intervals."""

AT_BOUND = 1e-6
"""How near to a bound, as a part of the distance of both bounds or of the value, a value counts as at it."""


LOST = 1e-6
"""The part of a number that may lie along an axis without curvature, by rounding."""

DENSE = 500_000
"""Entries, zeros included, up to which a sparse Jacobian is written out: its singular values see more than JᵀJ does."""


class Estimate(NamedTuple):
    """A number with its standard error and interval; without them NaN, and ``note`` says why.

    ``of`` is the variable, or other name, that it is an entry of.
    """

    of: str
    name: str
    value: float
    error: float
    low: float
    high: float
    note: str = ""


class Estimated(NamedTuple):
    """The estimates of a fit.

    ``estimates`` are those of all fitted numbers, ``derived`` of other names of the program, by the delta method.
    ``names`` are the numbers that have an error, ``covariance`` [names, names] theirs. ``basis`` says what it is, and
    why. ``statistics`` are, where they have a meaning, ``n`` squares, ``fitted`` numbers (as many as the data determine),
    ``dof`` = n - fitted, ``chi2``, ``reduced_chi2``, ``r2``, ``aic`` = n·log(χ²/n) + 2·fitted, ``bic`` with log(n) in place
    of the 2; or with a likelihood ``loglik`` and ``aic`` = 2·fitted - 2·loglik. Of many numbers with a sparse Jacobian the
    covariance is None where it was not asked for.
    """

    estimates: list[Estimate]
    derived: list[Estimate]
    names: list[str]
    covariance: Array
    basis: str
    statistics: dict[str, float]
    quantile: float = math.nan
    """By how many standard errors the intervals go to both sides."""

    def whole(self) -> tuple[Array, Array]:
        """The covariance of all fitted numbers, 0 where they have no error, and which have none that is known."""
        import numpy as np

        places = [k for k, e in enumerate(self.estimates) if not e.note]
        matrix = np.zeros((len(self.estimates), len(self.estimates)))
        matrix[np.ix_(places, places)] = self.covariance
        return matrix, np.array(["together" in e.note for e in self.estimates], dtype=bool)

    @property
    def correlation(self) -> Array:
        """The correlations [names, names], where there is a covariance."""
        import numpy as np

        if self.covariance is None:
            return None
        deviation = np.sqrt(np.diag(self.covariance))
        with np.errstate(all="ignore"):
            return self.covariance / deviation[:, None] / deviation


def check_errors(objective: Objective, loglik: bool) -> None:
    """Raise GradcliError where nothing is known of what a loss says about errors: before the fit, which may take long."""
    if not loglik and not objective.is_squares and squared_terms(objective) is None:
        raise GradcliError(
            "ValueError",
            f"`{objective.name}` is not seen to be a sum of squares, so that --errors need to know what it is",
            help="where it is a negative log-likelihood, add `--loglik`; or fit residuals with `--method least-squares`",
        )


def program_at(objective: Objective, values: Values) -> Loaded:
    """The program with fitted values."""
    return objective.program.with_leaf_values({leaf: values[name] for name, leaf in objective.leaves.items()})


def estimated(
    objective: Objective,
    values: Values,
    bounds: Bounds,
    loglik: bool,
    of: Sequence[str] = (),
    *,
    sparse: bool = False,
    whole: bool = True,
) -> Estimated:
    """The errors of fitted ``values``, and those of the names ``of``.

    The covariance is that of least squares, s²(JᵀJ)⁻¹ with s² = χ²/(n - p), or with ``loglik`` the inverse Hessian, over
    all fitted numbers at once except those at a bound. With ``sparse`` JᵀJ is that of a sparse Jacobian; of the inverse
    of a large one only the diagonal is computed, unless the ``whole`` is asked for. Raises GradcliError where there are no more
    squares than numbers, or where derivatives are not finite.
    """
    import numpy as np

    program = program_at(objective, values)
    entries = [
        (name, show_entry(name, place), float(value))
        for name in objective.leaves
        for place, value in np.ndenumerate(values[name])
    ]
    notes = _at_bounds(objective, values, bounds)
    free = np.array([not note for note in notes], dtype=bool)
    numbers = np.array([value for _, _, value in entries])
    with program.graph.derivation.active(), np.errstate(all="ignore"):
        if loglik:
            found = _of_likelihood(objective, program, numbers, free, notes)
        else:
            found = _of_squares(objective, program, values, free, notes, sparse)
    covariance = _Covariance(free, found.inverse, found.spread)
    known = np.array([not note for note in notes], dtype=bool)
    deviations = np.sqrt(covariance.diagonal())
    estimates = [
        _estimate(of, name, value, float(deviation) if not note else math.nan, found.quantile, note)
        for (of, name, value), deviation, note in zip(entries, deviations, notes, strict=True)
    ]
    derived = _derived(objective, program, of, covariance, notes, found.quantile)
    names = [name for (_, name, _), is_known in zip(entries, known, strict=True) if is_known]
    matrix = None
    if whole or isinstance(found.inverse, np.ndarray):
        help = "`--sparse --errors` without `--cov` find the standard errors alone"
        check_room(program.max_memory, f"the covariance of {len(names)} numbers takes", 32 * len(names) ** 2, help)
        matrix = covariance.times(np.eye(len(entries))[:, known])[known]
    return Estimated(estimates, derived, names, matrix, found.basis, found.statistics, found.quantile)


class _Curvature(NamedTuple):
    """What errors are computed from: the covariance is ``spread`` times an ``inverse`` of the curvature at the minimum.

    ``inverse`` is a matrix of the free numbers, or a :class:`Normal`; ``quantile`` is the half width of an interval in
    standard errors.
    """

    inverse: Any
    spread: float
    basis: str
    statistics: dict[str, float]
    quantile: float


def _of_likelihood(objective: Objective, program: Loaded, numbers: Array, free: Array, notes: list[str]) -> _Curvature:
    """The curvature of a negative log-likelihood: its Hessian."""
    import numpy as np

    xs = list(objective.leaves.values())
    y = reshaped(objective.y, ())
    found = iter(program.evaluate([y, *jacobian(y, xs), *objective.hessian()]))
    sizes = [size_of(x.shape) for x in xs]
    loss = float(next(found))
    gradient = np.concatenate([next(found).reshape(-1).astype(np.float64) for _ in xs])
    hessian = np.block([[next(found).reshape(m, n).astype(np.float64) for n in sizes] for m in sizes])
    _check_finite(objective, hessian)
    rounding = float(np.finfo(program.float_dtype).eps)
    inverse, rank = _inverse(
        objective, _of_hessian(hessian[np.ix_(free, free)], gradient[free], numbers[free], rounding),
        np.flatnonzero(free), notes,
    )  # fmt: skip
    basis = f"inverse Hessian of `{objective.name}`, a negative log-likelihood (--loglik)"
    statistics = {"fitted": rank, "loglik": -loss, "aic": 2 * rank + 2 * loss}
    return _Curvature(inverse, 1.0, basis, statistics, _normal_quantile())


def _of_squares(
    objective: Objective, program: Loaded, values: Values, free: Array, notes: list[str], sparse: bool
) -> _Curvature:
    """The curvature of a sum of squares: JᵀJ. Raises a ValueError (GradcliError) without more squares than numbers."""
    import numpy as np

    residuals, factor = _residuals(objective)
    y, matrix = _slopes(objective, program, values, residuals, sparse)
    r = y.reshape(-1).astype(np.float64) / math.sqrt(factor)
    matrix = matrix[:, free] / math.sqrt(factor)
    rounding = float(np.finfo(program.float_dtype).eps)
    inverse: Any
    if isinstance(matrix, np.ndarray):
        inverse, rank = _inverse(objective, _of_jacobian(matrix, rounding), np.flatnonzero(free), notes)
    else:
        inverse, rank = _of_normal(matrix, rounding, np.flatnonzero(free), notes)
    freedom = len(r) - rank
    if freedom <= 0:
        raise GradcliError(
            "ValueError",
            f"there are no errors: {counted(rank, 'number')} fitted to {counted(len(r), 'residual')}",
        )
    square = float(r @ r)
    what = "least-squares minimises" if residuals is objective.y else f"`{objective.name}` is"
    basis = f"s²(JᵀJ)⁻¹ with s² = χ²/(n - p), for {what} a sum of {len(r)} squares"
    statistics = {
        "n": len(r), "fitted": rank, "dof": freedom, "chi2": square, "reduced_chi2": square / freedom,
        **_explained(objective, square),
    }  # fmt: skip
    if square > 0:
        likely = len(r) * math.log(square / len(r))
        statistics |= {"aic": likely + 2 * rank, "bic": likely + math.log(len(r)) * rank}
    return _Curvature(inverse, square / freedom, basis, statistics, t_quantile(freedom))


def _slopes(
    objective: Objective, program: Loaded, values: Values, residuals: Node, sparse: bool
) -> tuple[Array, Array]:
    """The residuals, and their derivatives [residuals, numbers]: a sparse matrix where that was asked for and is large."""
    import numpy as np

    xs = list(objective.leaves.values())
    if not sparse:
        y, *columns = program.evaluate([residuals, *jacobian(residuals, xs)])
        matrix = np.concatenate([c.reshape(y.size, -1).astype(np.float64) for c in columns], axis=1)
        _check_finite(objective, matrix)
        return y, matrix
    from gradcli.program.sparse import SparseJacobian

    y, rows = SparseJacobian(program, residuals, xs)({leaf: values[x] for x, leaf in objective.leaves.items()})
    _check_finite(objective, rows.data)
    return y, rows.toarray() if rows.shape[0] * rows.shape[1] <= DENSE else rows


class _Covariance:
    """The covariance of all numbers: ``spread`` times an inverse of those that are ``free`` [numbers], a matrix or :class:`Normal`."""

    def __init__(self, free: Array, inverse: Any, spread: float) -> None:
        self._free = free
        self._inverse = inverse
        self._spread = spread

    def diagonal(self) -> Array:
        """The variances [numbers]; 0 where there are none."""
        import numpy as np

        found = np.zeros(len(self._free))
        known = np.diag(self._inverse) if isinstance(self._inverse, np.ndarray) else self._inverse.diagonal()
        found[self._free] = known * self._spread
        return found

    def times(self, columns: Array) -> Array:
        """The covariance times columns [numbers, columns]."""
        import numpy as np

        found = np.zeros(columns.shape)
        given = columns[self._free]
        product = self._inverse @ given if isinstance(self._inverse, np.ndarray) else self._inverse.times(given)
        found[self._free] = product * self._spread
        return found


def _estimate(of: str, name: str, value: float, error: float, quantile: float, note: str) -> Estimate:
    return Estimate(of, name, value, error, value - quantile * error, value + quantile * error, note)


def _residuals(objective: Objective) -> tuple[Node, float]:
    """What the sum of squares is of, and by what the squares are too large: χ² counts each residual once."""
    if objective.is_squares:
        return objective.y, 1.0
    terms = squared_terms(objective)
    assert terms is not None
    factors = {term.factor for term in terms}
    # With weights of their own the terms are those of the loss itself.
    return joined(objective, terms), factors.pop() if len(factors) == 1 else 2.0


def _at_bounds(objective: Objective, values: Values, bounds: Bounds) -> list[str]:
    """For each fitted number what bound it is at, or an empty text."""
    import numpy as np

    notes: list[str] = []
    for name in objective.leaves:
        x = np.asarray(values[name], dtype=np.float64)
        ends = [np.broadcast_to(end, x.shape).reshape(-1).tolist() for end in bounds.get(name, (-np.inf, np.inf))]
        for value, low, high in zip(x.reshape(-1).tolist(), *ends, strict=True):
            size = high - low if math.isfinite(high - low) else max(abs(value), 1e-12)
            end = next((end for end in (low, high) if abs(value - end) <= AT_BOUND * size), None)
            notes.append("" if end is None else f"at its bound {end:g}")
    return notes


def _check_finite(objective: Objective, matrix: Array) -> None:
    import numpy as np

    if not np.isfinite(matrix).all():
        raise GradcliError("ValueError", f"there are no errors: a derivative of `{objective.name}` is not finite here")


class _Known(NamedTuple):
    """A matrix JᵀJ, or a Hessian, in units in which its diagonal is 1: its curvatures along axes [numbers, axes]."""

    scale: Array
    curvatures: Array
    axes: Array
    least: float
    """Curvatures up to it are 0 up to rounding."""


def _of_jacobian(matrix: Array, rounding: float) -> _Known:
    """JᵀJ of a Jacobian [residuals, numbers], without squaring what it is made of."""
    import numpy as np

    scale = np.linalg.norm(matrix, axis=0)
    _, singular, axes = np.linalg.svd(matrix / np.where(scale > 0, scale, 1), full_matrices=len(matrix) < len(scale))
    values = np.zeros(len(scale))
    values[: len(singular)] = singular
    return _Known(scale, values**2, axes.T, (8 * max(matrix.shape) * rounding * float(values.max(initial=0))) ** 2)


def _of_hessian(matrix: Array, gradient: Array, values: Array, rounding: float) -> _Known:
    """A Hessian; that of a point that is not quite the minimum is off by about its gradient over the values."""
    import numpy as np

    scale = np.sqrt(np.abs(np.diag(matrix)))
    scale[~matrix.any(axis=0)] = 0
    unit = np.where(scale > 0, scale, 1)
    curvatures, axes = np.linalg.eigh(matrix / unit[:, None] / unit)
    off = np.abs(gradient / unit)[:, None] / np.where(values != 0, np.abs(values * unit), np.inf)
    least = 8 * len(scale) * rounding * float(np.abs(curvatures).max(initial=0)) + 8 * float(off.max(initial=0))
    return _Known(scale, curvatures, axes, least)


def _of_normal(matrix: Any, rounding: float, places: Array, notes: list[str]) -> tuple[Normal, int]:
    """The inverse of JᵀJ of a sparse J, and the rank; what has none gets a note at its place."""
    from gradcli.features.fit.normal import Normal

    try:
        normal = Normal(matrix, rounding)
    except GradcliError as problem:
        problem.message = f"there are no errors: {problem.message}"
        raise
    _note(notes, places, normal.unused, normal.lost)
    return normal, normal.rank


def _note(notes: list[str], places: Array, unused: Array, lost: Array) -> None:
    """Say why numbers at their places have no error."""
    together = f"determined only together with the others of {counted(int((lost & ~unused).sum()), 'number')}"
    for place, is_unused, is_lost in zip(places.tolist(), unused, lost, strict=True):
        if is_unused:
            notes[place] = "without influence here"
        elif is_lost:
            notes[place] = together


def _inverse(objective: Objective, known: _Known, places: Array, notes: list[str]) -> tuple[Array, int]:
    """The inverse [numbers, numbers], and the rank; what has none gets a note at its place, and zeros."""
    import numpy as np

    scale, curvatures, axes, least = known
    if (curvatures < -least).any():
        raise GradcliError(
            "ValueError", f"there are no errors: the Hessian of `{objective.name}` is not positive here, which is not a minimum"
        )  # fmt: skip
    flat = curvatures <= least
    lost = np.sqrt(np.square(axes[:, flat]).sum(axis=1)) > LOST
    _note(notes, places, scale == 0, lost)
    inverse = (axes[:, ~flat] / curvatures[~flat]) @ axes[:, ~flat].T
    unit = np.where(scale > 0, scale, 1)
    inverse = inverse / unit[:, None] / unit
    none = lost | (scale == 0)
    inverse[none] = inverse[:, none] = 0
    return inverse, int((~flat).sum())


def _explained(objective: Objective, square: float) -> dict[str, float]:
    """R² = 1 - χ²/χ²₀, where the residuals are data less a model, perhaps divided by what is not fitted; χ²₀ is that of the mean."""
    import numpy as np

    found = regression(objective)
    if found is None or not found.only:
        return {}
    y = objective.program.evaluate([found.data])[0].astype(np.float64)
    w = found.weights(objective.program)
    total = float((w * (y - (w * y).sum() / w.sum()) ** 2).sum())
    return {"r2": 1 - square / total} if total > 0 else {}


def _derived(
    objective: Objective,
    program: Loaded,
    of: Sequence[str],
    covariance: _Covariance,
    notes: Sequence[str],
    quantile: float,
) -> list[Estimate]:
    """The delta method: J C Jᵀ, with J by all that is fitted."""
    import numpy as np

    found: list[Estimate] = []
    lost = np.array(["together" in note for note in notes], dtype=bool)
    known = np.array([not note for note in notes], dtype=bool)
    for name in of:
        y = query.target(program, name)
        with program.graph.derivation.active():
            value, *blocks = program.evaluate([y, *jacobian(y, list(objective.leaves.values()))])
        size = size_of(y.shape)
        matrix = np.concatenate([b.reshape(size, -1).astype(np.float64) for b in blocks], axis=1)
        matrix[:, ~known & ~lost] = 0
        variances = np.einsum("ij,ji->i", matrix, covariance.times(matrix.T))
        for place, row, number, variance in zip(
            np.ndindex(y.shape), matrix, value.reshape(-1).tolist(), variances, strict=True
        ):
            note = "of numbers without an error" if row[lost].any() else "" if row.any() else "its derivative is 0 here"
            error = math.nan if note else math.sqrt(max(float(variance), 0.0))
            found.append(_estimate(name, show_entry(name, place), float(number), error, quantile, note))
    return found


def _normal_quantile() -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf((1 + LEVEL) / 2)


def t_quantile(freedom: int) -> float:
    """The t with Student's probability ``LEVEL`` between -t and t.

    Sources: Abramowitz, Stegun 26.7.3 and 26.7.4, solved by bisection; 26.7.5 from 1000 degrees of freedom on.
    """
    z = _normal_quantile()
    if freedom >= 1000:
        terms = (
            (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        )  # fmt: skip
        return z + math.fsum([term / float(freedom) ** (k + 1) for k, term in enumerate(terms)])

    def inside(t: float) -> float:
        angle: float = math.atan(t / math.sqrt(freedom))
        cosine: float = math.cos(angle)
        odd = freedom % 2
        term: float = cosine if odd else 1.0
        total: float = 0.0
        for k in range(2 + odd, freedom + 1, 2):
            total += term
            term *= cosine * cosine * (k - 1) / k
        whole: float = 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
        return whole

    low, high = 0.0, 20.0
    while high - low > 1e-15 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if inside(middle) < LEVEL else (low, middle)
    return (low + high) / 2

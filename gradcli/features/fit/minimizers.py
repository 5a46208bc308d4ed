"""The methods that are given exact derivatives, and what is done when one of them begins anew or ends."""

from __future__ import annotations

from typing import Any

from gradcli.data import first_not_finite
from gradcli.diagnostics import GradcliError
from gradcli.features.fit.constrained import Constrained, Interior
from gradcli.features.fit.newton_cg import NewtonCG
from gradcli.features.fit.objective import Objective
from gradcli.features.fit.search import Anew, Ended, Minimizer
from gradcli.features.fit.squares import Squares
from gradcli.features.fit.training import Outcome, Settings, State, Watch
from gradcli.features.fit.trust_region import TrustRegion
from gradcli.graph.types import show_entry


def minimize(objective: Objective, settings: Settings, watch: Watch, state: State) -> Outcome:
    """Minimise by SciPy's L-BFGS-B, Newton-CG or trust-region least squares, or by Newton's method in a trust region.

    A step is one that the method accepted. SciPy keeps to itself what a method remembers of its steps, so a resumed run
    goes from where the method began last (at most ``ANEW`` steps, which are only shown) to the state, which gives the same bits.
    Sources: Byrd, Lu, Nocedal, Zhu 1995 (``lbfgs``); Nocedal, Wright, *Numerical Optimization*, 2nd ed., algorithm 7.1
    (``newton-cg``); Branch, Coleman, Li 1999 (``least-squares``). Raises GradcliError where SciPy is not installed.
    """
    scipy = None if settings.method == "newton" else _scipy(settings.method)
    for name, value in state.values.items():
        place = first_not_finite(value)
        if place is not None:
            raise GradcliError("ValueError", f"`{show_entry(name, place)}` starts at {float(value[place])}")
    kind = {
        "lbfgs": Minimizer,
        "newton-cg": NewtonCG,
        "least-squares": Squares,
        "newton": TrustRegion,
        "slsqp": Constrained,
        "trust-constr": Interior,
    }[settings.method]
    search = kind(objective, settings, watch, state)

    def finished(outcome: Outcome) -> Outcome:
        return outcome._replace(multipliers=search.multipliers(), left=search.left())

    while True:
        try:
            if search.good is None:
                search.accepted(search.vector(search.start.values))
            message = search.run(scipy)
            if not search.is_replaying:
                if search.goes_on():
                    continue
                return finished(search.outcome(message))
        except Anew:
            continue
        except Ended as end:
            if not search.is_replaying:
                return finished(end.outcome)
        except GradcliError as failure:
            if not search.is_replaying:
                if search.good is None:
                    raise
                return search.good._replace(reason="failed", problem=failure, left=search.left())
        search.begin(state)  # on another processor the same steps round otherwise, and may lead elsewhere


def _scipy(method: str) -> Any:
    try:
        from scipy import optimize
    except ImportError:
        raise GradcliError(
            "ValueError",
            f"--method {method} needs SciPy, which is not installed: pip install 'gradcli[scipy]'",
            help="`--method newton` is built in",
        ) from None
    return optimize

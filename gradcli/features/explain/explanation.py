"""The answer of ``gradcli explain`` as data: contributions along routes, cuts, and orders."""

from __future__ import annotations

from typing import Any

from gradcli.diagnostics import Label
from gradcli.features.explain.near import Near
from gradcli.results import Reason
from gradcli.tuples import NamedTuple

Array = Any


class Step(NamedTuple):
    """One factor of a route, from a node to one of its inputs.

    ``text`` is the node (``tanh(a)``), ``to`` the input (``a``). ``labels`` are the node's place and those of the calls
    that it was made in, the innermost first. ``formula`` is the local derivative and ``factor`` its value; of a ``linear`` map it is what happens to the gradient g. ``gradient`` is what
    has arrived at the input. Large arrays are None.
    """

    operation: str
    text: str
    to: str
    labels: list[Label]
    formula: str
    linear: bool
    factor: Array | None
    gradient: Array | None


class Route(NamedTuple):
    """A path from y down to x, what it contributes, and its steps; ``omitted`` are left out in the middle.

    ``through`` are the nodes by which it goes on where other routes that are shown leave it; of many some are a "…".
    """

    value: Array
    through: list[str]
    steps: list[Step]
    omitted: int


class Contribution(NamedTuple):
    """What some of the ys contribute: ``routes`` of them all, the largest ``shown``, and what the others add up to."""

    of: list[str]
    value: Array
    routes: int
    shown: list[Route]
    rest: Array | None


class CutPlace(NamedTuple):
    """A cut: what it is and where, and the edit that lets a gradient pass."""

    reason: Reason
    help: str


class Way(NamedTuple):
    """Ways from x to y that are first cut at one place, then at further ones below it if there are several."""

    ways: int
    cuts: list[CutPlace]
    more: bool


class Explanation(NamedTuple):
    """How the ys depend on one x at one order.

    ``value`` is the gradient, or None for ``reason``. ``none_since`` and ``zero_since`` are the orders from which it is
    None, and 0 whatever the values are; ``note`` says why.
    """

    name: str
    value: Array | None
    reason: Reason | None
    contributions: list[Contribution]
    ways: list[Way]
    near: list[Near]
    none_since: int | None
    zero_since: int | None
    note: str | None


class Explained(NamedTuple):
    """The answer of ``gradcli explain``."""

    file: str
    of: list[str]
    summed: bool
    order: int
    explanations: list[Explanation]

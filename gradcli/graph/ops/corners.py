"""Where operations jump or bend, and what their derivatives are taken as there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradcli.graph.node import Node

Array = Any
Test = Callable[[Any, Node, Sequence[Array], Array], Any]


class Corner:
    """Where an operation is not smooth.

    ``text`` says where in words; ``test(xp, node, inputs, y)`` gives a bool array of the entries of the value ``y`` that
    are there; ``slope`` says what the derivative is taken as, with attributes of the node in braces. ``called`` is what
    stands for the operation's name in a message. A node has the corner ``when`` that holds, by default always.
    """

    __slots__ = ("called", "slope", "test", "text", "when")

    def __init__(
        self, text: str, test: Test, slope: str, called: str = "", when: Callable[[Node], bool] | None = None
    ) -> None:
        self.text = text
        self.test = test
        self.slope = slope
        self.called = called
        self.when = when


JUMPS = "no derivative, the value jumps"


def at_zero(slope: str) -> Corner:
    """Where the first input is 0."""
    return Corner("at 0", lambda xp, node, x, y: x[0] == 0, slope)


def at_whole(offset: float = 0.0, text: str = "at a whole number", **more: Any) -> Corner:
    """Where the first input, less an offset, is a whole number."""
    return Corner(text, lambda xp, node, x, y: x[0] - offset == xp.round(x[0] - offset), JUMPS, **more)


def at_step(slope: str = JUMPS) -> Corner:
    """Where a quotient is a whole number."""

    def test(xp: Any, node: Node, x: Sequence[Array], y: Array) -> Any:
        ratio = x[0] / x[1]
        return ratio == xp.round(ratio)

    return Corner("at a step", test, slope)


def with_equal(slope: str, called: str = "") -> Corner:
    """Where two arguments are equal."""
    return Corner("with equal arguments", lambda xp, node, x, y: x[0] == x[1], slope, called)


def at_origin() -> Corner:
    """Where a size is 0."""
    return Corner("at 0", lambda xp, node, x, y: y == 0, "derivative taken as 0, one-sided -1 and 1")


def _tied(xp: Any, node: Node, x: Sequence[Array], y: Array) -> Any:
    axes = node.attrs["axis"]
    shape = tuple(1 if k in axes else n for k, n in enumerate(x[0].shape))
    return xp.sum(x[0] == xp.reshape(y, shape), axis=axes) > 1


def with_tie() -> Corner:
    """Where several entries are the extreme one."""
    return Corner("with a tie", _tied, "derivative shared evenly by the tied entries, one-sided 0 and 1")


def with_equal_entries(slope: str = JUMPS) -> Corner:
    """Where entries along the axis are equal."""

    def test(xp: Any, node: Node, x: Sequence[Array], y: Array) -> Any:
        axis = node.attrs["axis"]
        return xp.diff(xp.sort(x[0], axis=axis), axis=axis) == 0

    return Corner("with equal entries", test, slope)

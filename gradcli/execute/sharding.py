"""Which axis of which data several devices share: the rows, which go along with one another as the entries' flow says."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gradcli.diagnostics import GradcliError
from gradcli.execute.axes import Axes
from gradcli.execute.sizes import bytes_of
from gradcli.graph.node import Node


def row_axes(
    nodes: Sequence[Node], data: Sequence[Node], devices: int, rows: Collection[Node] | None = None
) -> dict[Node, int]:
    """The axis that is shared of each array of data that has it; what has none is on all devices.

    ``nodes`` are all that is computed, with ``data`` and all else that it is computed from, inputs first. Rows are those
    axes of data that go along with one another through the operations, most bytes first; or those that go along with the
    first axis of ``rows``. Raises GradcliError where no axis is taken piece by piece, or not in equal parts.
    """
    if devices == 1:
        return {}
    axes = Axes(nodes, data)
    if rows is not None:
        chosen = {axes.of[x][0] for x in rows if x in axes.of and x.shape[0] % devices == 0}
    else:
        chosen = {_with_most_bytes(data, axes, _taken_apart(nodes, data, axes), devices)}
    return {x: next(k for k, c in enumerate(axes.of[x]) if c in chosen) for x in data if chosen & {*axes.of[x]}}


def _taken_apart(nodes: Sequence[Node], data: Sequence[Node], axes: Axes) -> set[int]:
    """The axes of which some operation takes each piece for itself."""
    found: set[int] = set()
    for node in nodes:
        if node.inputs and node not in data:
            for x, labels in zip(node.inputs, axes.flows[node][0], strict=True):
                found |= {c for c, label in zip(axes.of[x], labels, strict=True) if label is not None}
    return found


def _with_most_bytes(data: Sequence[Node], axes: Axes, taken: Collection[int], devices: int) -> int:
    """The axis of most bytes of data among those that are taken apart, first of those that all devices have equal parts of."""
    sizes: dict[int, int] = {}
    lengths: dict[int, int] = {}
    for x in data:
        for c, n in dict(zip(axes.of[x], x.shape, strict=True)).items():
            lengths[c] = n
            if c in taken and n > 1:
                sizes[c] = sizes.get(c, 0) + bytes_of(x)
    if not sizes:
        raise GradcliError(
            "ValueError",
            f"there is nothing that {devices} devices can share: no constant has rows",
            help="leave `--devices` out",
        )
    # The last one of several that are alike, as they come.
    best = sorted(sizes, key=lambda c: (lengths[c] % devices == 0, sizes[c], lengths[c]))[-1]
    check_parts(lengths[best], devices, "data")
    return best


def check_parts(rows: int, devices: int, what: str) -> None:
    """Raise a GradcliError where so many devices cannot have equal parts of some rows."""
    if rows % devices:
        fitting = max([n for n in range(1, devices) if rows % n == 0])
        fewer = rows // devices * devices or devices
        raise GradcliError(
            "ValueError",
            f"{devices} devices cannot have equal parts of {rows:,} rows of {what}",
            help=f"take {fitting} device{'s' * (fitting > 1)}, or {fewer:,} rows",
        )

"""Which axes of an operation's inputs become which axes of its result, from the ``flow`` of its entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gradcli.graph.node import Node
from gradcli.graph.operation import Contraction, Flow

Label = int | None
Labels = tuple[Label, ...]


def flow(node: Node) -> tuple[list[Labels], Labels]:
    """A label for each axis of the inputs and of the result.

    A piece of the result along a label needs only that piece of the axes of the inputs with the same label; an axis of
    an input whose label is None is needed whole. A label of inputs that the result has not is summed over.
    """
    rule = node.op.rule
    if isinstance(rule, Contraction):
        labels, out = rule.labels(node.inputs, dict(node.attrs))
        return [tuple(own) for own in labels], tuple(out)
    return _LABELS[node.op.flow](node)


def _mixed(node: Node) -> tuple[list[Labels], Labels]:
    """Every entry of a result may need every entry of the inputs."""
    return [(None,) * x.rank for x in node.inputs], (None,) * node.rank


def _entrywise(node: Node) -> tuple[list[Labels], Labels]:
    """Axes counted from the last one; one that is repeated to fill the result is needed whole."""
    shape = node.shape
    own: list[Labels] = []
    for x in node.inputs:
        before = len(shape) - len(x.shape)
        own.append(tuple([k + before if n == shape[k + before] else None for k, n in enumerate(x.shape)]))
    return own, tuple(range(len(shape)))


def _but(axes: Sequence[int], rank: int) -> Labels:
    """Labels for all axes but some."""
    return tuple([None if k in axes else k for k in range(rank)])


def _axes(node: Node) -> Sequence[int]:
    axis = node.attrs["axis"]
    return (axis,) if isinstance(axis, int) else axis or ()


def _along_others(node: Node) -> tuple[list[Labels], Labels]:
    """Operations that mix entries along some axes of inputs and results of one rank."""
    if node.attrs["axis"] is None:  # as one long row
        return _mixed(node)
    labels = _but(_axes(node), node.rank)
    return [labels for _ in node.inputs], labels


def _diagonals(node: Node) -> tuple[list[Labels], Labels]:
    """Axes of one number are one axis on the other side; those whose number is theirs alone stay."""
    pattern = node.attrs["pattern"]
    long = tuple([k if pattern.count(k) == 1 else None for k in pattern])
    short = tuple([k if pattern.count(k) == 1 else None for k in range(max(pattern) + 1)])
    return ([long], short) if node.rank < node.inputs[0].rank else ([short], long)


def _accumulated(node: Node) -> tuple[list[Labels], Labels]:
    """Reductions whose parts can be combined: the axes that go have labels."""
    whole = tuple(range(node.inputs[0].rank))
    return [whole], _reduced(node, whole)


def _reduced_whole(node: Node) -> tuple[list[Labels], Labels]:
    labels = _but(_axes(node), node.inputs[0].rank)
    return [labels], _reduced(node, labels)


def _reduced(node: Node, labels: Labels) -> Labels:
    gone = _axes(node)
    if node.attrs["keepdims"]:
        return tuple([None if k in gone else label for k, label in enumerate(labels)])
    return tuple([label for k, label in enumerate(labels) if k not in gone])


def _stacked(node: Node) -> tuple[list[Labels], Labels]:
    axis = node.attrs["axis"]
    own = tuple(range(node.rank - 1))
    return [own for _ in node.inputs], (*own[:axis], None, *own[axis:])


def _transposed(node: Node) -> tuple[list[Labels], Labels]:
    return [tuple(range(node.rank))], tuple(node.attrs["axes"])


def _reshaped(node: Node) -> tuple[list[Labels], Labels]:
    """Axes with the same size and the same number of entries before them stay as they are."""
    (x,) = node.inputs
    ends: dict[tuple[int, int], int] = {}
    entries = 1
    for k, n in enumerate(x.shape):
        if n != 1:
            ends[entries, n] = k
        entries *= n
    own: list[Label] = [None] * x.rank
    out: list[Label] = []
    entries = 1
    for n in node.shape:
        kept = ends.get((entries, n)) if n != 1 else None
        out.append(kept)
        if kept is not None:
            own[kept] = kept
        entries *= n
    return [tuple(own)], tuple(out)


def _indexed(node: Node) -> tuple[list[Labels], Labels]:
    (x,) = node.inputs
    own, out = _through_items(node.attrs["items"], x.shape)
    return [own], out


def _unindexed(node: Node) -> tuple[list[Labels], Labels]:
    out, own = _through_items(node.attrs["items"], node.shape)
    return [own], out


def _through_items(items: Sequence[object], shape: Sequence[int]) -> tuple[Labels, Labels]:
    """Labels of an array and of its part: axes that are taken whole stay."""
    own: list[Label] = []
    out: list[Label] = []
    for item in items:
        if item is None:
            out.append(None)
            continue
        k = len(own)
        whole = isinstance(item, tuple) and slice(*item).indices(shape[k]) == (0, shape[k], 1)
        own.append(k if whole else None)
        if isinstance(item, tuple):
            out.append(k if whole else None)
    rest = range(len(own), len(shape))
    return (*own, *rest), (*out, *rest)


def _row_by_row(node: Node) -> tuple[list[Labels], Labels]:
    """A value and its indices broadcast on all axes but one; what is repeated there is needed whole."""
    labels = _but(_axes(node), node.rank)
    return [tuple([k if n == node.shape[i] else None for i, (k, n) in enumerate(zip(labels, x.shape, strict=True))])
            for x in node.inputs], labels  # fmt: skip


def _gathered(node: Node) -> tuple[list[Labels], Labels]:
    x, indices = node.inputs
    axis = node.attrs["axis"]
    own = _but((axis,), x.rank)
    picked = tuple(range(x.rank, x.rank + indices.rank))
    return [own, picked], (*own[:axis], *picked, *own[axis + 1 :])


def _matrices(node: Node) -> tuple[list[Labels], Labels]:
    """Operations on the last two axes: the axes before them stay."""
    batch = tuple(range(max(node.rank, node.inputs[0].rank) - 2))
    own = [(*batch, *[None] * (x.rank - len(batch))) for x in node.inputs]
    return own, (*batch, *[None] * (node.rank - len(batch)))


_LABELS: Mapping[Flow, Callable[[Node], tuple[list[Labels], Labels]]] = {
    "": _mixed, "entries": _entrywise, "accumulated": _accumulated, "reduced": _reduced_whole, "along": _along_others,
    "matrices": _matrices, "stacked": _stacked, "transposed": _transposed, "reshaped": _reshaped, "indexed": _indexed,
    "unindexed": _unindexed, "gathered": _gathered, "rows": _row_by_row, "diagonals": _diagonals,
}  # fmt: skip

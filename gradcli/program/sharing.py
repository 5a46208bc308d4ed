"""What is computed from rows that several processes share: by JAX, for none of them has all rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gradcli.data.shares import Rows
from gradcli.diagnostics import GradcliError
from gradcli.execute.accelerator import precise
from gradcli.execute.traced import Loop, Solver, computed
from gradcli.graph.node import Node, by_serial, cone
from gradcli.graph.ops.creation import data_of
from gradcli.graph.ops.words.jax import Namespace
from gradcli.program.loops import OFTEN, Runs, lowered

if TYPE_CHECKING:
    from gradcli.program.loaded import Loaded

Array = Any

TRACED = Runs(Loop, Solver)


def from_rows(program: Loaded, nodes: Sequence[Node]) -> list[Node]:
    """What of nodes, and of all that they are computed from, depends on shared rows: inputs first.

    A leaf is computed from its initial value.
    """
    inputs: dict[Node, tuple[Node, ...]] = {}
    todo = list(nodes)
    while todo:
        node = todo.pop()
        if node not in inputs:
            given = program.graph.initial.get(node)
            inputs[node] = (given,) if isinstance(given, Node) else node.inputs
            todo.extend(inputs[node])
    found: dict[Node, None] = {}
    for node in sorted(inputs, key=by_serial):
        if isinstance(data_of(node), Rows) or any([x in found for x in inputs[node]]):
            found[node] = None
    return list(found)


def values_from_rows(program: Loaded, wanted: Sequence[Node], part: Any, placed: Callable[[Node], Any]) -> list[Array]:
    """The values of nodes that depend on shared rows, placed on the devices; ``part`` is how rows lie on them.

    Raises GradcliError where something fails because of its values.
    """
    if not wanted:
        return []
    order = from_rows(program, wanted)
    data = {x: rows for x in order if isinstance(rows := data_of(x), Rows)}
    leaves = [x for x in order if x.op.name == "leaf"]
    with precise() as jax:
        np = jax.numpy

        def function(arrays: Sequence[Array]) -> tuple[list[Array], Array]:
            values = dict(zip(data, arrays, strict=True))
            flags = []

            def value(nodes: Sequence[Node]) -> list[Array]:
                others = [x for x in cone(nodes, values) if x.op.name == "leaf" and x not in values]
                some = {x: program.leaf_value(x) for x in others}
                found, failed = computed(
                    Namespace(jax), lowered(nodes, list(values), OFTEN, TRACED)[0], {**some, **values}
                )
                flags.append(failed)
                return found

            for leaf in leaves:
                (found,) = value([program.graph.initial[leaf]])
                values[leaf] = np.broadcast_to(found.astype(leaf.dtype), leaf.shape)
            return value(wanted), np.any(np.stack(flags))

        arrays = [jax.make_array_from_process_local_data(part, rows.part, rows.shape) for rows in data.values()]
        places = [placed(x) for x in wanted]
        whole = jax.sharding.NamedSharding(part.mesh, jax.sharding.PartitionSpec())
        found, failed = jax.jit(function, out_shardings=(places, whole))(arrays)
        if jax.device_get(failed):
            raise GradcliError(
                "ValueError", "what is computed from the data once fails because of its values",
                help="a fit without `--cluster`, of one row for each process, says which line it is",
            )  # fmt: skip
        return list(found)

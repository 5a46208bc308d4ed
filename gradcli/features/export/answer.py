"""A program and its gradients as StableHLO: a function of its variables that JAX, and what reads StableHLO, can call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcli.diagnostics import GradcliError
from gradcli.execute.accelerator import Accelerator, exporter, precise
from gradcli.graph.node import Node, cone
from gradcli.program import query
from gradcli.program.jitted import Traced
from gradcli.results import Reason
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.program.loaded import Loaded

Array = Any

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


class Exported(NamedTuple):
    """The function as bytes for ``jax.export.deserialize`` and as text; why some gradients are None, by name."""

    serialized: bytearray
    text: str
    none: dict[str, Reason]


def exported(
    program: Loaded,
    of: Sequence[str] | None = None,
    wrt: Sequence[str] | None = None,
    seeds: Mapping[str, str | Array] | None = None,
    stop: Sequence[str] = (),
    rows: Sequence[str] = (),
) -> Exported:
    """The values of the ys and the gradients of their sum as a function of one argument, for all of ``PLATFORMS``.

    The variables and constants in ``rows`` have one more axis in front, of as many rows as a call gives, and so have all
    results: those of each row. The argument holds the variables by name, and what else has no value. The result holds ``values`` and ``gradients`` by
    name, None where there is none, and ``failed``: whether something failed because of its values, such as a singular
    matrix. All other values are part of the function. Raises GradcliError.
    """
    asked = query.question(program, of, wrt, seeds, stop)
    ((_, row),) = query.gradients(program, asked, (1,))
    gradients = [g for g in row if isinstance(g, Node)]
    nodes = [*asked.ys, *gradients]
    graph = program.graph
    below = set(cone(nodes))
    for name in rows:
        if query.leaf(program, name) not in below:
            raise GradcliError("ValueError", f"nothing that is exported depends on `{name}`, which has no rows then")
    variables = {*program.variables, *rows}
    leaves = {
        name: leaf
        for name, leaf in graph.leaves.items()
        if leaf in below and (name in variables or program.lacks_value(leaf))
    }
    traced = Traced(program.with_accelerator(Accelerator("cpu")), nodes, list(leaves.values()))
    held = [np.asarray(x) for x in traced.held]

    with precise() as jax:

        def function(values: Mapping[str, Any]) -> dict[str, Any]:
            given = {leaf: values[name] for name, leaf in leaves.items()}
            found, failed = traced.values(jax, [given[x] for x in traced.moving], held)
            rest = iter(found[len(asked.ys) :])
            return {
                "values": dict(zip(asked.of, found, strict=False)),
                "gradients": {
                    x: next(rest) if isinstance(g, Node) else None for x, g in zip(asked.wrt, row, strict=True)
                },
                "failed": failed,
            }

        many: tuple[Any, ...] = exporter().symbolic_shape("rows") if rows else ()
        shapes = {
            name: jax.ShapeDtypeStruct((*many, *leaf.shape) if name in rows else leaf.shape, leaf.dtype)
            for name, leaf in leaves.items()
        }
        called = function
        if rows:
            called = jax.vmap(function, ({name: 0 if name in rows else None for name in leaves},))
        places = jax.config.jax_traceback_in_locations_limit
        jax.config.update("jax_traceback_in_locations_limit", 0)  # no names of files of this machine
        try:
            made = exporter().export(jax.jit(called), platforms=PLATFORMS)(shapes)
            none = {x: g for x, g in zip(asked.wrt, row, strict=True) if not isinstance(g, Node)}
            return Exported(made.serialize(), made.mlir_module(), none)
        except ImportError:
            raise GradcliError(
                "ValueError", "this needs FlatBuffers, which is not installed: pip install 'gradcli[jax]'"
            ) from None
        except (ValueError, NotImplementedError) as problem:
            first = str(problem).strip().split("\n")[0]
            raise GradcliError("ValueError", f"JAX cannot export this program: {first}") from None
        finally:
            jax.config.update("jax_traceback_in_locations_limit", places)

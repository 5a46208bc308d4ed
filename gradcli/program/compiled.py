"""Functions of a program's inputs, made ready once: nodes for the package's own use, names for :meth:`Program.compile`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from gradcli.data import is_ordinary
from gradcli.diagnostics import GradcliError
from gradcli.graph.node import Node, cone
from gradcli.graph.operation import SameAs, Select
from gradcli.graph.types import show_shape
from gradcli.program import query
from gradcli.program.loaded import converted
from gradcli.program.planned import Planned

if TYPE_CHECKING:
    from gradcli.program.loaded import Loaded

Array = Any


class Function(Protocol):
    """The values of nodes as a function of those of some leaves, which each call gives; safe in threads."""

    @property
    def leaves(self) -> set[Node]:
        """The leaves that the nodes need."""

    def __call__(self, values: Mapping[Node, Array], /) -> list[Array]:
        """The values of the nodes, in arrays of their own; ``values`` have the leaves' shapes and dtypes."""


def function_of(
    program: Loaded,
    nodes: Sequence[Node],
    inputs: Sequence[Node],
    processes: bool = False,
    known: Sequence[Node] = (),
    fixed: Mapping[Node, Array] | None = None,
    rows: Sequence[Node] | None = None,
) -> Function:
    """Nodes as a function of ``inputs``, by the engine of the program: NumPy's, JAX, or C.

    With ``processes`` NumPy may share loops of short steps among worker processes (:mod:`gradcli.execute.processes`).
    ``known`` are computed nodes whose values each call gives as well. The others are told the values of ``fixed`` nodes,
    and JAX the inputs whose ``rows`` several devices share.
    """
    if program.accelerator is None:
        assert fixed is None
        return Planned(program, nodes, inputs, processes, known)
    if program.accelerator.backend == "native":
        from gradcli.program import natively

        return natively.Compiled(program, nodes, inputs, known, fixed)
    from gradcli.program.jitted import Jitted, Traced

    return Jitted(Traced(program, nodes, inputs, known, fixed, rows))


class Compiled:
    """A callable with keyword arguments for the inputs; may be called from several threads.

    The graph is made for ordinary inputs, which need no guards where a ``where`` selects. The first call with a NaN, an
    infinity or a number near where floats end for some inputs of a program that selects makes a graph with guards for
    these inputs, so that what is not selected contributes nothing.

    Results whose names are in ``out`` are written into these arrays, which then are what a call returns. An input may be one of them, or
    a part of it. Raises GradcliError where one is not an array of the result's shape and dtype that can be written to.
    """

    def __init__(
        self,
        program: Loaded,
        of: Sequence[str],
        inputs: Sequence[str],
        processes: bool = False,
        guarded: bool = False,
        out: Mapping[str, Array] | None = None,
    ) -> None:
        self._program = program
        self._of = list(of)
        self._processes = processes
        self._leaves = {name: query.leaf(program, name) for name in inputs}
        nodes = [query.target(program, name) for name in of]
        self._out = _targets(dict(zip(of, nodes, strict=True)), out) if out else {}
        self._run = function_of(program, nodes, list(self._leaves.values()), processes)
        self._selects = not guarded and any(isinstance(node.op.rule, (Select, SameAs)) for node in cone(nodes))
        self._guarded: dict[tuple[str, ...], Compiled] = {}
        self._quick = None if self._selects else _quick(self._run, self._leaves)

    def __repr__(self) -> str:
        return f"<compiled {', '.join(self._of)} of {', '.join(self._leaves) or 'no inputs'}>"

    def __call__(self, **values: Array) -> dict[str, Array]:
        if self._quick is not None and (found := self._quick(values)) is not None:
            if self._out:
                self._write(found)
            return dict(zip(self._of, found))  # noqa: B905  as many by construction, and it is to be quick
        for name in values:
            if name not in self._leaves:
                known = ", ".join(self._leaves) or "(none)"
                raise GradcliError("NameError", f"`{name}` is not among the inputs {known}")
        given: dict[Node, Array] = {}
        for name, leaf in self._leaves.items():
            if name in values:
                given[leaf] = converted(values[name], leaf, copy=False)
            elif leaf in self._run.leaves:
                given[leaf] = self._program.leaf_value(leaf)
        if self._selects:
            leaves = self._leaves.items()
            unsafe = tuple([name for name, leaf in leaves if leaf in given and not is_ordinary(given[leaf])])
            if unsafe:
                return self._with_guards(unsafe)(**values)
        found = self._found(given)
        if self._out:
            self._write(found)
        return dict(zip(self._of, found, strict=True))

    def _found(self, given: Mapping[Node, Array]) -> list[Array]:
        """The results, some in arrays of the caller's already."""
        if not self._out or not isinstance(self._run, Planned):
            return self._run(given)
        import numpy as np

        if any([np.may_share_memory(array, x) for array in self._out.values() for x in given.values()]):
            return self._run(given)  # what is read is not to change meanwhile
        left = dict(self._out)
        return self._run(given, [left.pop(name, None) for name in self._of])

    def _write(self, found: list[Array]) -> None:
        """Put results into the arrays of the caller's, and these in their places."""
        import numpy as np

        for k, name in enumerate(self._of):
            array = self._out.get(name)
            if array is not None:
                if found[k] is not array:
                    np.copyto(array, found[k])
                found[k] = array

    def _with_guards(self, unsafe: tuple[str, ...]) -> Compiled:
        if unsafe not in self._guarded:
            program = self._program.again(unsafe=unsafe)
            self._guarded[unsafe] = Compiled(
                program, self._of, list(self._leaves), self._processes, guarded=True, out=self._out
            )
        return self._guarded[unsafe]


def _targets(nodes: Mapping[str, Node], out: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays to write results to, by name. Raises GradcliError where one does not do."""
    import numpy as np

    found: dict[str, Array] = {}
    for name, array in out.items():
        node = nodes.get(name)
        if node is None:
            raise GradcliError("NameError", f"`{name}` in `out` is not among the results {', '.join(nodes)}")
        if not isinstance(array, np.ndarray):
            raise GradcliError(
                "TypeError", f"`out` has a {type(array).__name__} for `{name}`, and not an array of NumPy's"
            )
        if array.shape != node.shape:
            raise GradcliError(
                "ShapeError", f"`{name}` has shape {show_shape(node.shape)}, and the array for it in `out` {show_shape(array.shape)}"
            )  # fmt: skip
        if array.dtype != node.dtype:
            raise GradcliError("TypeError", f"`{name}` is {node.dtype}, and the array for it in `out` {array.dtype}")
        if not array.flags.writeable:
            raise GradcliError("ValueError", f"the array for `{name}` in `out` is read-only")
        for other, before in found.items():
            if np.may_share_memory(array, before):
                raise GradcliError("ValueError", f"the arrays for `{other}` and `{name}` in `out` share memory")
        found[name] = array
    return found


def _quick(run: Function, leaves: Mapping[str, Node]) -> Callable[[Mapping[str, Array]], list[Array] | None] | None:
    """The function that is ``run``, if it has one, of arrays by name that are what the leaves are; None for any others.

    It may only be asked where it makes no difference whether values are ordinary.
    """
    function: Callable[..., list[Array]] | None = getattr(run, "function", None)
    moving: Sequence[Node] = getattr(run, "moving", ())
    if function is None:
        return None
    import numpy as np

    names = {leaf: name for name, leaf in leaves.items()}
    if len(names) < len(leaves) or any([leaf not in names for leaf in moving]):
        return None
    first = [names[leaf] for leaf in moving]
    order = [*first, *[name for name in leaves if name not in first]]
    expected = [(name, leaves[name].shape, np.dtype(leaves[name].dtype)) for name in order]
    ndarray, array, float64, count, some = np.ndarray, np.array, np.dtype("float64"), len(order), len(first)

    def quick(values: Mapping[str, Array]) -> list[Array] | None:
        if len(values) != count:
            return None
        given = []
        for name, shape, dtype in expected:
            value = values.get(name)
            if type(value) is float and not shape and dtype is float64:
                value = array(value)
            if type(value) is not ndarray or value.dtype is not dtype or value.shape != shape:
                return None
            given.append(value)
        try:
            return function(*given[:some])
        except Exception:  # noqa: BLE001  what failed, and where, is found the slower way
            return None

    return quick

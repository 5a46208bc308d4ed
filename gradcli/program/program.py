"""What can be asked of a program: values and derivatives. The Python interface rests on this module."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from gradcli.data import decode, read_bytes
from gradcli.diagnostics import Source, counted
from gradcli.graph.node import Node
from gradcli.graph.types import size_of
from gradcli.program import arguments, query
from gradcli.program.loaded import Loaded, given_array
from gradcli.program.query import Unconnected
from gradcli.results import Result

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

    Array = np.ndarray[Any, Any]
    Names = str | Iterable[str]

Precision = Literal["float32", "float64"]


def read_source(path: str | os.PathLike[str]) -> str:
    """The text of a program file; a GradcliError (DataError) where it cannot be read or is not UTF-8."""
    return decode(read_bytes(path), os.fspath(path))


def load(
    path: str | os.PathLike[str],
    *,
    folder: str | os.PathLike[str] | None = None,
    dtype: Precision | None = None,
    random_seed: int = 0,
    settings: Mapping[str, ArrayLike] | None = None,
    max_memory: int | None = None,
    threads: int | None = None,
) -> Program:
    """The program of a file; ``load`` in it reads below ``folder``, by default the file's own.

    For the other options see :func:`loads`. Raises :class:`GradcliError`.
    """
    name = arguments.path(path, "path")
    folder = arguments.path_or_none(folder, "folder")
    return loads(
        read_source(name),
        name,
        folder=os.path.dirname(name) if folder is None else folder,
        dtype=dtype,
        random_seed=random_seed,
        settings=settings,
        max_memory=max_memory,
        threads=threads,
    )


def loads(
    text: str,
    name: str = "<string>",
    *,
    folder: str | os.PathLike[str] | None = None,
    dtype: Precision | None = None,
    random_seed: int = 0,
    settings: Mapping[str, ArrayLike] | None = None,
    max_memory: int | None = None,
    threads: int | None = None,
) -> Program:
    """The program of a text.

    ``name`` stands for the text in messages, and ``load`` in it reads below ``folder`` (default: the current one).
    ``settings`` replaces values of variables and constants, by arrays or by expressions in the language (strings);
    ``dtype`` (float32 or float64) overrides the program's dtype line; ``max_memory`` is a limit in bytes on the arrays
    of a run (default: what is free), ``threads`` how many may work on large arrays (default: one for each processor).
    Raises :class:`GradcliError`.
    """
    return Program(
        Source(arguments.text(name, "name"), arguments.text(text, "text")),
        arguments.path_or_none(folder, "folder") or "",
        arguments.dtype_or_none(dtype),
        arguments.integer(random_seed, "random_seed", 0, arguments.LARGEST_SEED),
        arguments.by_name(settings, "settings"),
        arguments.integer_or_none(max_memory, "max_memory", 1),
        threads=arguments.integer_or_none(threads, "threads", 1, arguments.MOST_THREADS),
    )


class GradReply(NamedTuple):
    """Gradients by order.

    ``of`` names what was differentiated; ``summed`` says that some of it is not a scalar, so that its entries add up.
    """

    of: list[str]
    orders: list[tuple[int, list[Result]]]
    summed: bool


class Program(Loaded):
    """An expression program, parsed and turned into a graph. Made by :func:`load` and :func:`loads`."""

    # the Python interface: every argument is checked by :mod:`gradcli.program.arguments`

    def __repr__(self) -> str:
        leaves = self.graph.leaves
        variables = self.variables
        asked = self.graph.outputs or self.graph.definitions
        parts = [
            _some("output" if self.graph.outputs else "name", asked),
            _some("variable", variables),
            _some("constant", [name for name in leaves if name not in variables]),
        ]
        return f"<Program {self.source.name!r}: {'; '.join(filter(None, parts)) or 'empty'}>"

    def eval(self, of: Names | None = None, values: Mapping[str, ArrayLike] | None = None) -> dict[str, Array | None]:
        """The values of names, as NumPy arrays of the program's shapes and dtypes.

        ``of`` is a name or several, by default the program's outputs, else every name that is computed; a gradient
        that does not exist is None. ``values`` replaces values of variables and constants; a value of another shape
        gives the program that shape, as ``--set`` does. Raises :class:`GradcliError`.
        """
        of = arguments.names_or_none(of, "of")
        return {r.name: r.value for r in self._given(values).eval_results(of)}

    def grad(
        self,
        of: Names | None = None,
        wrt: Names | None = None,
        order: int = 1,
        *,
        seeds: Mapping[str, ArrayLike] | None = None,
        stop: Names = (),
        unconnected: Unconnected = "none",
        values: Mapping[str, ArrayLike] | None = None,
    ) -> dict[str, Array | None]:
        """The derivatives of the sum of ``of`` with respect to each of ``wrt``, with the contract of ``tf.gradients``.

        ``of`` is a name or several, by default the outputs, else the last named value; ``wrt`` likewise, by default all
        variables, where ``*`` matches variables. ``seeds`` are head gradients of the shapes of their ys. ``order`` n
        (1 to 2000) repeats the pass n times with the same x. Each result has its x's shape, and its dtype where that is
        a float; None means not connected. Raises :class:`GradcliError`.
        """
        of, wrt, stop = arguments.names_or_none(of, "of"), arguments.names_or_none(wrt, "wrt"), _stops(stop)
        order = arguments.integer(order, "order", 1, arguments.LARGEST_ORDER)
        arguments.one_of(unconnected, "unconnected", ("none", "zero", "error"))
        heads = _arrays(seeds, "seeds")
        reply = self._given(values).grad_results(of, wrt, order, seeds=heads, stop=stop, unconnected=unconnected)
        return {r.name: r.value for r in reply.orders[-1][1]}

    def jacobian(
        self,
        of: Names | None = None,
        wrt: Names | None = None,
        *,
        stop: Names = (),
        values: Mapping[str, ArrayLike] | None = None,
    ) -> dict[str, dict[str, Array]]:
        """The derivative of every entry of each y with respect to every entry of each x, as ``{y: {x: array}}``.

        An array has the shape ``y.shape + x.shape`` and the dtype of x where that is a float. Entries are zeros where y
        does not depend on x, never None. ``of``, ``wrt``, ``stop`` and ``values`` are those of :meth:`grad`; seeds play
        no part. Raises :class:`GradcliError`, a LimitError where the result would not fit into memory.
        """
        from gradcli.program.matrices import jacobians, nested

        of, wrt = arguments.names_or_none(of, "of"), arguments.names_or_none(wrt, "wrt")
        return nested(jacobians(self._given(values), of, wrt, _stops(stop)).blocks)

    def hessian(
        self,
        of: Names | None = None,
        wrt: Names | None = None,
        *,
        stop: Names = (),
        values: Mapping[str, ArrayLike] | None = None,
    ) -> dict[str, dict[str, Array]]:
        """The second derivatives of a scalar, the sum of ``of``, as ``{x1: {x2: array}}``, cross blocks included.

        An array has the shape ``x1.shape + x2.shape``; its entries are zeros, never None. Arguments are as for
        :meth:`jacobian`. Raises :class:`GradcliError`: a ShapeError for a y that is no scalar, a LimitError where the
        result would not fit into memory.
        """
        from gradcli.program.matrices import hessians, nested

        of, wrt = arguments.names_or_none(of, "of"), arguments.names_or_none(wrt, "wrt")
        return nested(hessians(self._given(values), of, wrt, _stops(stop)).blocks)

    def jvp(
        self,
        tangents: Mapping[str, ArrayLike],
        of: Names | None = None,
        *,
        stop: Names = (),
        values: Mapping[str, ArrayLike] | None = None,
    ) -> dict[str, Array]:
        """The derivative of each y along a direction, as ``{y: array}``: forward mode, no matrix is built.

        ``tangents`` gives the direction: for each x an array of its shape, or a scalar for all of its entries. The
        contributions of several xs add up. Each result has its y's shape; it is zeros where y depends on none of them.
        Raises :class:`GradcliError`.
        """
        from gradcli.program.matrices import tangents_of

        given, of = _arrays(tangents, "tangents"), arguments.names_or_none(of, "of")
        return {r.name: r.value for r in tangents_of(self._given(values), given, of, _stops(stop))}

    def compile(self, of: Names, inputs: Names = (), processes: bool = False) -> Callable[..., dict[str, Array]]:
        """A function of keyword arguments ``inputs`` that gives the values of ``of``: planned once, safe in threads.

        Each input must have the shape and a dtype convertible to that of its declaration; inputs that are left out keep
        the program's own values. ``processes`` allows it, on Linux, to fork as many worker processes as it may use
        threads, which end with it: a loss of a network on a batch and its gradient gain from them, results are the same.
        Raises :class:`GradcliError`, at once for unknown names.
        """
        from gradcli.program.compiled import Compiled

        return Compiled(
            self, arguments.names(of, "of"), arguments.names(inputs, "inputs"), arguments.flag(processes, "processes")
        )

    def _given(self, values: Mapping[str, ArrayLike] | None) -> Program:
        """This program with the values of one call."""
        return self.with_values(arguments.by_name(values, "values"))

    # what the commands ask

    def eval_results(self, of: Sequence[str] | None = None, plain: bool = False) -> list[Result]:
        """The results that ``gradcli eval`` prints, None with its reason included.

        With ``plain`` scalars may be those of :mod:`gradcli.execute.plain_numbers` instead of arrays.
        """
        found = query.values(self, of)
        nodes = [value for value in found.values() if isinstance(value, Node)]
        values = iter(self.evaluate(nodes, plain))
        return [
            Result(name, next(values)) if isinstance(value, Node) else Result(name, None, value.reason())
            for name, value in found.items()
        ]

    def grad_results(
        self,
        of: Sequence[str] | None = None,
        wrt: Sequence[str] | None = None,
        order: int = 1,
        *,
        seeds: Mapping[str, str | Array] | None = None,
        stop: Sequence[str] = (),
        unconnected: Unconnected = "none",
        every_order: bool = False,
        plain: bool = False,
    ) -> GradReply:
        """The results that ``gradcli grad`` prints: all orders up to ``order``, or that one only.

        ``plain`` is that of :meth:`eval_results`.
        """
        asked = query.question(self, of, wrt, seeds, stop)
        chosen = query.gradients(
            self, asked, range(1, order + 1) if every_order else (order,), unconnected, numbers=True
        )
        nodes = [g for _, row in chosen for g in row if isinstance(g, Node)]
        values = iter(self.evaluate(nodes, plain))
        rows = [
            (n, [
                Result(name, next(values)) if isinstance(g, Node) else Result(name, None, g)
                for name, g in zip(asked.wrt, row, strict=True)
            ])
            for n, row in chosen
        ]  # fmt: skip
        return GradReply(asked.of, rows, any(size_of(y.shape) != 1 for y in asked.ys))


def _stops(stop: Names) -> list[str]:
    return arguments.names(stop, "stop")


def _arrays(given: Mapping[str, ArrayLike] | None, argument: str) -> dict[str, Array]:
    return {name: given_array(value, name) for name, value in arguments.by_name(given, argument).items()}


def _some(what: str, names: Sequence[str], most: int = 5) -> str:
    """``2 variables x, k``; of many names the first few, and nothing where there are none."""
    if not names:
        return ""
    return f"{counted(len(names), what)} {', '.join(names[:most])}{', …' if len(names) > most else ''}"

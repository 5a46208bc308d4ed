"""A program as Python users have it: each method asks what a command asks, and gives values by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from gradcli.diagnostics import GradcliError, Source, counted
from gradcli.interface import arguments
from gradcli.program import answers
from gradcli.program.loaded import Loaded, given_array, read_source
from gradcli.program.query import Unconnected

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

    from gradcli.execute.accelerator import Accelerator
    from gradcli.execute.compiler import Native
    from gradcli.features.derive.derivatives import Kind
    from gradcli.features.derive.look import Format
    from gradcli.features.explain.explanation import Explained
    from gradcli.features.propagate.answer import Propagated
    from gradcli.interface.fitting import Fitted
    from gradcli.results import Checked

    Array = np.ndarray[Any, Any]
    Names = str | Iterable[str]

Precision = Literal["float32", "float64"]
Method = Literal["sgd", "momentum", "adam", "newton", "lbfgs", "newton-cg", "least-squares", "slsqp", "trust-constr"]
Backend = Literal["numpy", "jax", "native"]
BACKENDS = ("numpy", "jax", "native")
UNCONNECTED = ("none", "zero", "error")


def load(
    path: str | os.PathLike[str],
    *,
    folder: str | os.PathLike[str] | None = None,
    dtype: Precision | None = None,
    random_seed: int = 0,
    settings: Mapping[str, ArrayLike] | None = None,
    max_memory: int | None = None,
    threads: int | None = None,
    backend: Backend = "numpy",
    device: str | None = None,
    devices: int = 1,
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
        backend=backend,
        device=device,
        devices=devices,
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
    backend: Backend = "numpy",
    device: str | None = None,
    devices: int = 1,
) -> Program:
    """The program of a text.

    ``name`` stands for the text in messages, and ``load`` in it reads below ``folder`` (default: the current one).
    ``settings`` replaces values of variables and constants, by arrays or by expressions in the language (strings);
    ``dtype`` (float32 or float64) overrides the program's dtype line; ``max_memory`` is a limit in bytes on the arrays
    of a run (default: what is free), ``threads`` how many may work on large arrays (default: one for each processor).
    With the ``backend`` "jax" JAX compiles what is computed, for a ``device`` ("cpu", "gpu:1", …; default: the best that
    it finds) or several ``devices``, which share the rows of the largest constants; with "native" the C compiler of this
    machine does. Raises :class:`GradcliError`.
    """
    return Program(
        Source(arguments.text(name, "name"), arguments.text(text, "text")),
        arguments.path_or_none(folder, "folder") or "",
        arguments.dtype_or_none(dtype),
        arguments.integer(random_seed, "random_seed", 0, arguments.LARGEST_SEED),
        arguments.by_name(settings, "settings"),
        arguments.integer_or_none(max_memory, "max_memory", 1),
        threads=arguments.integer_or_none(threads, "threads", 1, arguments.MOST_THREADS),
        accelerator=_accelerator(backend, device, devices),
    )


def _accelerator(backend: str, device: str | None, devices: int) -> Accelerator | Native | None:
    """What computes values in place of NumPy, if something does."""
    form = arguments.one_of(backend, "backend", BACKENDS)
    device = arguments.device_or_none(device, "device")
    devices = arguments.integer(devices, "devices", 1)
    if form != "jax":
        if device is not None or devices > 1:
            raise GradcliError("ValueError", 'devices are for backend="jax"')
        if form == "numpy":
            return None
        from gradcli.execute.compiler import Native

        return Native()
    from gradcli.execute.accelerator import Accelerator

    return Accelerator(device, devices)


class Program(Loaded):
    """An expression program, parsed and turned into a graph. Made by :func:`load` and :func:`loads`."""

    # the Python interface: every argument is checked by :mod:`gradcli.interface.arguments`

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
        return {r.name: r.value for r in answers.values(self._given(values), of)}

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
        of, wrt, stop = _asked(of, wrt, stop)
        order = arguments.integer(order, "order", 1, arguments.LARGEST_ORDER)
        arguments.one_of(unconnected, "unconnected", UNCONNECTED)
        heads = _arrays(seeds, "seeds")
        reply = answers.gradients(self._given(values), of, wrt, order, seeds=heads, stop=stop, unconnected=unconnected)
        return {r.name: r.value for r in reply.orders[-1][1]}

    def value_and_grad(
        self,
        of: Names | None = None,
        wrt: Names | None = None,
        *,
        seeds: Mapping[str, ArrayLike] | None = None,
        stop: Names = (),
        unconnected: Unconnected = "none",
        values: Mapping[str, ArrayLike] | None = None,
    ) -> tuple[dict[str, Array], dict[str, Array | None]]:
        """The values of ``of`` by name, and what :meth:`grad` gives at order 1, evaluated together.

        Raises :class:`GradcliError`.
        """
        of, wrt, stop = _asked(of, wrt, stop)
        arguments.one_of(unconnected, "unconnected", UNCONNECTED)
        heads = _arrays(seeds, "seeds")
        found, reply = answers.values_and_gradients(self._given(values), of, wrt, heads, stop, unconnected)
        return {r.name: r.value for r in found}, {r.name: r.value for r in reply.orders[-1][1]}

    def points(
        self,
        columns: Mapping[str, ArrayLike],
        of: Names | None = None,
        wrt: Names | None = None,
        order: int = 0,
        *,
        seeds: Mapping[str, ArrayLike] | None = None,
        stop: Names = (),
        unconnected: Unconnected = "none",
        skip_bad: bool = False,
    ) -> dict[str, Array | None]:
        """The values of names (``order`` 0) or the gradients of an order, for many values of variables and constants.

        ``columns`` gives for each name an array [rows, …], all with as many rows. Each result is an array [rows, …] of
        its dtype for a single row, or None where there is none in any row. The other arguments are those of :meth:`eval`
        and :meth:`grad`. The first row in which there is no answer, such as a singular matrix, is an error; with
        ``skip_bad`` such rows are NaN, and all results float64. Raises :class:`GradcliError`.
        """
        from gradcli.features.points.answer import Points
        from gradcli.features.points.varied import Item, named
        from gradcli.interface.columns import answered, rows_of

        of, wrt, stop = _asked(of, wrt, stop)
        order = arguments.integer(order, "order", 0, arguments.LARGEST_ORDER)
        arguments.one_of(unconnected, "unconnected", UNCONNECTED)
        heads, skip_bad = _arrays(seeds, "seeds"), arguments.flag(skip_bad, "skip_bad")
        if not order and (wrt is not None or heads or stop):
            raise GradcliError(
                "ValueError", "order 0 asks for values, which have no wrt, seeds or stop", help="order=1"
            )

        def ask(program: Loaded) -> list[Item]:
            if not order:
                return named(answers.values(program, of))
            reply = answers.gradients(program, of, wrt, order, seeds=heads, stop=stop, unconnected=unconnected)
            return named(reply.orders[-1][1])

        points = Points(self, ask, "points", skip_bad)
        return answered(points, rows_of(points, arguments.by_name(columns, "columns")), skip_bad)

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
        from gradcli.features.matrices.answer import jacobians, nested

        return nested(jacobians(self._given(values), *_asked(of, wrt, stop)).blocks)

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
        :meth:`jacobian`. Raises :class:`GradcliError`: a ShapeError for a y that is not a scalar, a LimitError where the
        result would not fit into memory.
        """
        from gradcli.features.matrices.answer import hessians, nested

        return nested(hessians(self._given(values), *_asked(of, wrt, stop)).blocks)

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
        from gradcli.features.matrices.answer import tangents_of

        given, of = _arrays(tangents, "tangents"), arguments.names_or_none(of, "of")
        return {r.name: r.value for r in tangents_of(self._given(values), given, of, _stops(stop))}

    def compile(
        self,
        of: Names,
        inputs: Names = (),
        processes: bool = False,
        *,
        backend: Backend | None = None,
        out: Mapping[str, Array] | None = None,
    ) -> Callable[..., dict[str, Array]]:
        """A function of keyword arguments ``inputs`` that gives the values of ``of``: planned once, safe in threads.

        Each input must have the shape and a dtype convertible to that of its declaration; inputs that are left out keep
        the program's own values. ``processes`` allows it, on Linux, to fork as many worker processes as it may use
        threads, which end with it: a loss of a network on a batch and its gradient gain from them, results are the same.
        ``backend`` is that of the program, or another: with "jax" or "native" the function is compiled, see :func:`loads`.
        ``out`` has arrays by names of ``of``, each of the shape and dtype of the result: every call writes into
        them, from one thread at a time, and returns them; an input may be one of them. Raises :class:`GradcliError`, at once for unknown
        names and for arrays in ``out`` that do not fit.
        """
        from gradcli.program.compiled import Compiled

        program = self
        if backend is not None:
            form = arguments.one_of(backend, "backend", BACKENDS)
            own = "numpy" if self.accelerator is None else self.accelerator.backend
            if form != own:
                program = self.with_accelerator(_accelerator(form, None, 1))
        return Compiled(
            program,
            arguments.names(of, "of"),
            arguments.names(inputs, "inputs"),
            arguments.flag(processes, "processes"),
            out=arguments.by_name(out, "out"),
        )

    def derive(
        self,
        of: Names | None = None,
        wrt: Names | None = None,
        order: int = 1,
        *,
        seeds: Mapping[str, ArrayLike] | None = None,
        stop: Names = (),
        format: Format = "expr",
        steps: bool = False,
        jacobian: bool = False,
        hessian: bool = False,
        jvp: bool = False,
        taylor: int | None = None,
        tangents: Mapping[str, ArrayLike] | None = None,
        name_parts: int | None = None,
        entries: bool | None = None,
        expand: bool = False,
        factor: bool = False,
        values: Mapping[str, ArrayLike] | None = None,
    ) -> str:
        """The derivatives of the sum of ``of`` as formulas, simplified, as ``gradcli derive`` prints them.

        ``format`` is a program of the language whose outputs are the derivatives (``expr``), formulas for LaTeX
        (``latex``), a NumPy or JAX module (``python``, ``jax``), or a function of C99 (``c``). ``steps`` shows how the derivative is found, rule by rule. ``order``
        0 writes the ys themselves. ``jacobian``, ``hessian``, ``jvp`` and ``taylor``, a degree, ask for other derivatives
        in place of gradients; directions are constants ``dx``, with the values of ``tangents`` where those are given.
        ``name_parts`` limits the named intermediate results: 0 gives each derivative as one formula. ``entries`` writes
        small arrays entry by entry, or with False as arrays; None as is shorter. ``expand``
        multiplies out, ``factor`` gives products of irreducible factors, as far as that keeps the values. The other arguments are those of :meth:`grad`. Raises :class:`GradcliError`.
        """
        from gradcli.features.derive.look import written

        of, wrt, stop = _asked(of, wrt, stop)
        order = arguments.integer(order, "order", 0, arguments.LARGEST_ORDER)
        form = arguments.one_of(format, "format", ("expr", "latex", "python", "jax", "c"))
        steps, heads = arguments.flag(steps, "steps"), _arrays(seeds, "seeds")
        kinds: dict[Kind, bool] = {
            "jacobian": arguments.flag(jacobian, "jacobian"),
            "hessian": arguments.flag(hessian, "hessian"),
            "jvp": arguments.flag(jvp, "jvp"),
            "taylor": taylor is not None,
        }
        asked = [kind for kind, is_asked in kinds.items() if is_asked]
        if len(asked) > 1:
            raise GradcliError("ValueError", f"{asked[0]} and {asked[1]} exclude each other")
        kind = asked[0] if asked else "gradient"
        if taylor is not None:
            order = arguments.integer(taylor, "taylor", 0, 100)
        if name_parts is not None:
            name_parts = arguments.integer(name_parts, "name_parts", 0, sys.maxsize)
        if entries is not None:
            entries = arguments.flag(entries, "entries")
        along = _arrays(tangents, "tangents")
        expand, factor = arguments.flag(expand, "expand"), arguments.flag(factor, "factor")
        if expand and factor:
            raise GradcliError("ValueError", "expand and factor exclude each other")
        shape: Any = "expanded" if expand else "factored" if factor else None
        return written(
            self._given(values), of, wrt, order, heads, stop, form, steps, kind, along, name_parts, entries, form=shape
        )

    def explain(
        self,
        of: Names | None = None,
        wrt: Names | None = None,
        order: int = 1,
        *,
        seeds: Mapping[str, ArrayLike] | None = None,
        stop: Names = (),
        most: int = 10,
        values: Mapping[str, ArrayLike] | None = None,
    ) -> Explained:
        """How ``of`` depends on each of ``wrt``: what adds up to each gradient, or where each way is cut.

        Up to ``most`` (1 to 1000) routes and cuts are given for each x. The other arguments are those of :meth:`grad`.
        Raises :class:`GradcliError`.
        """
        from gradcli.features.explain.answer import explain

        of, wrt, stop = _asked(of, wrt, stop)
        order = arguments.integer(order, "order", 1, arguments.LARGEST_ORDER)
        most = arguments.integer(most, "most", 1, 1000)
        heads = _arrays(seeds, "seeds")
        return explain(self._given(values), of, wrt, order, seeds=heads, stop=stop, most=most)

    def propagate(
        self,
        errors: Mapping[str, ArrayLike] | None = None,
        of: Names | None = None,
        *,
        covariance: tuple[Sequence[str], ArrayLike] | None = None,
        monte_carlo: int | None = None,
        values: Mapping[str, ArrayLike] | None = None,
    ) -> Propagated:
        """The standard uncertainties of ``of`` that follow from those of variables and constants, as ``gradcli propagate``.

        ``errors`` gives for a name a number, an array of its shape, or a text such as ``"2%"``; ``covariance`` is a pair:
        names of entries such as ``p[0]``, and their covariance. ``of`` are by default the names that :meth:`eval` gives.
        ``monte_carlo`` is a number of normal draws, for a check. Results are found by exact first and second derivatives.
        Raises :class:`GradcliError`.
        """
        from gradcli.features.propagate.answer import Covariance, deviation, propagate

        program = self._given(values)
        given = {
            name: deviation(program, name, error) if isinstance(error, str) else given_array(error, name)
            for name, error in arguments.by_name(errors, "errors").items()
        }
        names_and_matrix = arguments.pair_or_none(covariance, "covariance", '(["x", "k"], [[1.0, 0.5], [0.5, 1.0]])')
        both = None
        if names_and_matrix is not None:
            entries = arguments.names(names_and_matrix[0], "covariance")
            both = Covariance(entries, given_array(names_and_matrix[1], "covariance"))
        draws = arguments.integer_or_none(monte_carlo, "monte_carlo", 2, 100_000_000)
        return propagate(program, given, both, arguments.names_or_none(of, "of"), draws or 0)

    def check(
        self,
        of: Names | None = None,
        wrt: Names | None = None,
        *,
        tolerance: float | None = None,
        directions: int | None = None,
        every_entry: bool = False,
        order: Literal[1, 2, "both"] = "both",
        values: Mapping[str, ArrayLike] | None = None,
    ) -> Checked:
        """The gradients of the sum of ``of`` compared with forward mode, with series and with differences.

        ``tolerance`` is the largest relative error beside rounding, by default 1e-6 (1e-9 for differences in 200 digits,
        1e-2 where a declaration says float32). ``directions`` (1 to 10,000) asks for that many random directions, and
        ``every_entry`` for all entries of large variables; by default the size of a variable decides. ``order`` says
        what is checked. In the result ``passed`` says whether all agree. Raises :class:`GradcliError`.
        """
        from gradcli.features.check.answer import Settings, check

        of, wrt = arguments.names_or_none(of, "of"), arguments.names_or_none(wrt, "wrt")
        number = arguments.number_or_none(tolerance, "tolerance")
        count = arguments.integer_or_none(directions, "directions", 1, 10_000)
        every_entry = arguments.flag(every_entry, "every_entry")
        if every_entry and count is not None:
            raise GradcliError("ValueError", "every_entry and directions exclude each other")
        if isinstance(order, str):
            arguments.one_of(order, "order", ("both",))
        orders = (1, 2) if isinstance(order, str) else (arguments.integer(order, "order", 1, 2),)
        return check(self._given(values), of, wrt, Settings(number, count, every_entry, orders))

    def fit(
        self,
        minimize: str | None = None,
        over: Names | None = None,
        *,
        method: Method | None = None,
        lr: float | str | None = None,
        steps: int = 1000,
        until: Mapping[str, float] | None = None,
        bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
        data: Names | None = None,
        batch: int | None = None,
        clip: float | None = None,
        history: str | os.PathLike[str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        every: int | None = None,
        resume: str | os.PathLike[str] | None = None,
        of: Names | None = None,
        errors: bool = False,
        loglik: bool = False,
        maximize: str | None = None,
        subject: Names = (),
        sparse: bool = False,
        values: Mapping[str, ArrayLike] | None = None,
    ) -> Fitted:
        """Values of variables that make a scalar small, as ``gradcli fit`` finds them.

        ``minimize`` is the loss, by default the program's output, and ``over`` what is fitted, by default all variables.
        By default the ``method`` is ``least-squares`` for a sum of squares, ``newton`` for another loss of up to 300
        numbers, else ``lbfgs``, and ``sgd`` where its options ``lr``, ``batch`` or ``clip`` are given.
        ``lr`` (0.01) is a learning rate, perhaps with a schedule: ``"0.1:linear"``, ``"0.1:cosine"`` or
        ``"0.1:step=100,0.5"``. ``until`` ends the run earlier, at ``{"gnorm": …, "loss": …, "change": …, "time": seconds}``.
        ``bounds`` are pairs (low, high) by name, None for an end that is open. ``batch`` rows of the constants ``data``
        are seen by a step. ``history`` is a file for a line of JSON a step; ``checkpoint`` one for the state, written
        each ``every`` (100) steps and at the end, from which ``resume`` goes on to the same numbers. A run that ends
        in a problem has the values of its last good step, and says so. ``of`` are names whose values are wanted too;
        one alone is the loss where neither ``minimize`` nor an output of the program says which that is.
        ``errors`` asks for standard errors, intervals and the covariance, that of least squares or, with ``loglik``, of a
        loss that is a negative log-likelihood. ``maximize`` is what is made large, in place of ``minimize``, and
        ``subject`` are constraints such as ``"sum(w) = 1"`` and ``"w >= 0"``. With ``sparse`` least squares have sparse
        Jacobians. Raises :class:`GradcliError` where there is
        nothing to be kept.
        """
        from gradcli.features.fit.optimizers import METHODS
        from gradcli.features.fit.session import Options
        from gradcli.interface.fitting import fitted, rate

        options = Options(
            minimize=None if minimize is None else arguments.text(minimize, "minimize"),
            maximize=None if maximize is None else arguments.text(maximize, "maximize"),
            subject=arguments.names(subject, "subject"),
            over=arguments.names_or_none(over, "over"),
            method=None if method is None else arguments.one_of(method, "method", METHODS),
            lr=rate(lr if isinstance(lr, str) else arguments.number_or_none(lr, "lr")),
            steps=arguments.integer(steps, "steps", 1),
            until=arguments.limits(until, "until", ("gnorm", "loss", "change", "time")),
            bounds=arguments.bounds(bounds, "bounds"),
            data=arguments.names_or_none(data, "data"),
            batch=arguments.integer_or_none(batch, "batch", 1),
            clip=arguments.number_or_none(clip, "clip"),
            of=arguments.names_or_none(of, "of") or [],
            errors=arguments.flag(errors, "errors"),
            loglik=arguments.flag(loglik, "loglik"),
            history=arguments.path_or_none(history, "history"),
            checkpoint=arguments.path_or_none(checkpoint, "checkpoint"),
            every=arguments.integer_or_none(every, "every", 1),
            resume=arguments.path_or_none(resume, "resume"),
            sparse=arguments.flag(sparse, "sparse"),
        )
        return fitted(self._given(values), options)

    def _given(self, values: Mapping[str, ArrayLike] | None) -> Program:
        """This program with the values of one call."""
        return self.with_values(arguments.by_name(values, "values"))


def _asked(of: Names | None, wrt: Names | None, stop: Names) -> tuple[list[str] | None, list[str] | None, list[str]]:
    """The names of a question, each a list; None for what is left out."""
    return arguments.names_or_none(of, "of"), arguments.names_or_none(wrt, "wrt"), _stops(stop)


def _stops(stop: Names) -> list[str]:
    return arguments.names(stop, "stop")


def _arrays(given: Mapping[str, ArrayLike] | None, argument: str) -> dict[str, Array]:
    return {name: given_array(value, name) for name, value in arguments.by_name(given, argument).items()}


def _some(what: str, names: Sequence[str], most: int = 5) -> str:
    """``2 variables x, k``; of many names the first few, and nothing where there are none."""
    if not names:
        return ""
    return f"{counted(len(names), what)} {', '.join(names[:most])}{', …' if len(names) > most else ''}"

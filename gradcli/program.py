"""A loaded program and what can be asked of it: values and gradients. The Python interface rests on this module."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from gradcli.autodiff import degree, reverse
from gradcli.autodiff.series import nth_gradient
from gradcli.data import decode, read_bytes
from gradcli.diagnostics import GradcliError, Label, Source, Span, did_you_mean
from gradcli.execute.plan import Plan
from gradcli.execute.run import run
from gradcli.graph.node import Node, cone
from gradcli.graph.ops.creation import array
from gradcli.graph.types import size_of
from gradcli.language.elaborate import Elaborator, elaborate
from gradcli.language.expression import constant_expression
from gradcli.language.parser import parse
from gradcli.language.reasons import explain
from gradcli.language.values import Elaborated, Missing
from gradcli.results import Reason, Result

Array = Any
Unconnected = Literal["none", "zero", "error"]


def read_source(path: str | os.PathLike[str]) -> str:
    """The text of a program file; a GradcliError (DataError) where it cannot be read or is not UTF-8."""
    return decode(read_bytes(path), os.fspath(path))


def load(path: str | os.PathLike[str], **options: Any) -> Program:
    """The program of a file; ``load`` in it reads below the file's own folder. For the options see :func:`loads`."""
    options.setdefault("folder", Path(path).parent)
    return loads(read_source(path), os.fspath(path), **options)


def loads(
    text: str,
    name: str = "<string>",
    *,
    folder: Path | None = None,
    dtype: str | None = None,
    random_seed: int = 0,
    settings: Mapping[str, str | Array] | None = None,
    max_memory: int | None = None,
) -> Program:
    """The program of a text.

    ``settings`` replaces values of variables and constants, by arrays or by expressions in the language; ``dtype``
    (float32 or float64) overrides the program's dtype line; ``max_memory`` is a limit in bytes on the arrays of a run
    (default: what is free). Raises :class:`GradcliError`.
    """
    return Program(Source(name, text), folder or Path(), dtype, random_seed, dict(settings or {}), max_memory)


@dataclass(frozen=True, slots=True)
class GradReply:
    """Gradients by order.

    ``of`` names what was differentiated; ``summed`` says that some of it is not a scalar, so that its entries add up.
    """

    of: list[str]
    orders: list[tuple[int, list[Result]]]
    summed: bool


class Program:
    """An expression program, parsed and turned into a graph. Made by :func:`load` and :func:`loads`."""

    def __init__(
        self,
        source: Source,
        folder: Path,
        dtype: str | None,
        random_seed: int,
        settings: dict[str, str | Array],
        max_memory: int | None,
    ) -> None:
        self.source = source
        self.folder = folder
        self.dtype = dtype
        self.random_seed = random_seed
        self.max_memory = max_memory
        self._syntax = parse(source)
        self._settings = settings
        self._graph = self._elaborate(settings)
        self._leaf_values: dict[Node, Array] = {}

    def _elaborate(self, settings: Mapping[str, Any]) -> Elaborated:
        return elaborate(
            self._syntax, self.source, overrides=settings, folder=self.folder, dtype=self.dtype, seed=self.random_seed
        )

    @property
    def variables(self) -> list[str]:
        """The names of the variables, in order of declaration."""
        return self._graph.variables

    @property
    def names(self) -> list[str]:
        """Every name of the top level that stands for a value."""
        return list(self._graph.names)

    # the Python interface

    def eval(self, of: Sequence[str] | None = None, values: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """The values of names, as NumPy arrays of the program's shapes and dtypes.

        ``of`` defaults to the program's outputs, else to every name that is computed; a gradient that does not exist is
        None. ``values`` replaces values of variables and constants; a value of another shape gives the program that
        shape, as ``--set`` does. Raises :class:`GradcliError`.
        """
        return {r.name: r.value for r in self._with(values).eval_results(of)}

    def grad(
        self,
        of: Sequence[str] | None = None,
        wrt: Sequence[str] | None = None,
        order: int = 1,
        *,
        seeds: Mapping[str, Array] | None = None,
        stop: Sequence[str] = (),
        unconnected: Unconnected = "none",
        values: Mapping[str, Array] | None = None,
    ) -> dict[str, Array | None]:
        """The derivatives of the sum of ``of`` with respect to each of ``wrt``, with the contract of ``tf.gradients``.

        ``of`` defaults to the outputs, else the last named value; ``wrt`` to all variables. ``seeds`` are head
        gradients of the shapes of their ys. ``order`` n repeats the pass n times with the same x. Each result has its
        x's shape, and its dtype where that is a float; None means not connected. Raises :class:`GradcliError`.
        """
        import numpy as np

        given = {name: np.asarray(value) for name, value in (seeds or {}).items()}
        reply = self._with(values).grad_results(of, wrt, order, seeds=given, stop=stop, unconnected=unconnected)
        return {r.name: r.value for r in reply.orders[-1][1]}

    def compile(self, of: Sequence[str], inputs: Sequence[str] = ()) -> Callable[..., dict[str, Array]]:
        """A function of keyword arguments ``inputs`` that gives the values of ``of``: planned once, safe in threads.

        Each input must have the shape and a dtype convertible to that of its declaration; inputs that are left out keep
        the program's own values. Raises :class:`GradcliError`, at once for unknown names.
        """
        nodes = [self._target(name) for name in of]
        leaves = {name: self._leaf(name) for name in inputs}
        plan = self._plan(nodes)
        fixed = self._values_of(plan, without=set(leaves.values()))

        def call(**values: Array) -> dict[str, Array]:
            given = dict(fixed)
            for name, leaf in leaves.items():
                if name in values:
                    given[leaf] = _converted(values.pop(name), leaf)
                elif leaf in plan.nodes and leaf not in given:
                    given[leaf] = self._leaf_value(leaf)
            for name in values:
                raise GradcliError("NameError", f"`{name}` is not among the inputs {', '.join(leaves) or '(none)'}")
            return dict(zip(of, run(plan, given, self._locate), strict=True))

        return call

    # what the commands ask

    def eval_results(self, of: Sequence[str] | None = None) -> list[Result]:
        """The results that ``gradcli eval`` prints, None with its reason included."""
        names = list(of) if of is not None else self._printed()
        found = {name: self._graph.names[self._known(name)] for name in names}
        nodes = [value for value in found.values() if isinstance(value, Node)]
        values = iter(self._evaluate(nodes))
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
    ) -> GradReply:
        """The results that ``gradcli grad`` prints: all orders up to ``order``, or that one only."""
        of = list(dict.fromkeys(of)) if of is not None else self._differentiated()
        ys = [self._target(name) for name in of]
        wrt = self._wanted(wrt)
        xs = [self._target(name) for name in wrt]
        stops = [self._target(name) for name in stop]
        heads = self._heads(of, ys, seeds or {})
        with self._graph.derivation.active():
            orders = range(1, order + 1) if every_order else (order,)
            chosen = self._passes(of, ys, wrt, xs, heads, stops, orders, unconnected)
        nodes = [g for _, row in chosen for g in row if isinstance(g, Node)]
        values = iter(self._evaluate(nodes))
        rows = [
            (n, [
                Result(name, next(values)) if isinstance(g, Node) else Result(name, None, g)
                for name, g in zip(wrt, row, strict=True)
            ])
            for n, row in chosen
        ]  # fmt: skip
        return GradReply(of, rows, any(size_of(y.shape) != 1 for y in ys))

    def _passes(
        self,
        of: list[str],
        ys: list[Node],
        wrt: list[str],
        xs: list[Node],
        heads: list[Node | None],
        stops: list[Node],
        orders: Iterable[int],
        unconnected: Unconnected,
    ) -> list[tuple[int, list[Node | Reason]]]:
        """The results of n repeated passes with the same x, each summing as ``tf.gradients`` does, for each n."""
        first = reverse.gradients(ys, xs, heads, stops) if ys else [None] * len(xs)
        limits = [degree.last_order(ys, x, stops, heads) for x in xs]
        rows: list[tuple[int, list[Node | Reason]]] = []
        for n in orders:
            row: list[Node | Reason] = []
            for name, x, g, limit in zip(wrt, xs, first, limits, strict=True):
                if n > 1:
                    g = nth_gradient(ys, x, n, heads, stops) if n <= limit else None
                if g is None and unconnected == "zero":
                    g = reverse.zero_gradient(x)
                if g is not None:
                    row.append(g)
                    continue
                since = int(limit) + 1
                reason = explain(self._graph, of, ys, name, x, stops) if since == 1 else _later(since, name)
                if unconnected == "error":
                    self._unconnected(name, since, reason)
                row.append(reason)
            rows.append((n, row))
        return rows

    def _unconnected(self, name: str, order: int, reason: Reason) -> None:
        what = f"the gradient with respect to `{name}`" + (f" of order {order}" if order > 1 else "")
        raise GradcliError(
            "ValueError",
            f"{what} is None: {reason.with_line()}",
            [Label(reason.span)] if reason.span else [],
            help="use `--unconnected none` or `--unconnected zero` to allow it",
        )

    # names

    def _known(self, name: str, what: str = "value") -> str:
        if name in self._graph.names:
            return name
        similar = did_you_mean(name, self._graph.names)
        shown = ", ".join(list(self._graph.names)[:8])
        raise GradcliError(
            "NameError",
            f"the program has no {what} `{name}`",
            help=f"did you mean `{similar}`?" if similar else (f"it has {shown}" if shown else "it names no value"),
        )

    def _target(self, name: str) -> Node:
        value = self._graph.names[self._known(name)]
        if isinstance(value, Missing):
            reason = value.reason()
            raise GradcliError(
                "ValueError",
                f"`{name}` is a gradient that is None: {reason.with_line()}",
                [Label(reason.span)] if reason.span else [],
            )
        return value

    def _leaf(self, name: str) -> Node:
        if name not in self._graph.leaves:
            similar = did_you_mean(name, self._graph.leaves)
            raise GradcliError(
                "NameError",
                f"the program has no variable or constant `{name}`",
                help=f"did you mean `{similar}`?" if similar else None,
            )
        return self._graph.leaves[name]

    def _printed(self) -> list[str]:
        names = self._graph.outputs or self._graph.definitions
        if not names:
            raise GradcliError(
                "ValueError",
                "there is nothing to print: the program computes no value",
                help="bind one to a name, `y = …`, or name variables with `--of`",
            )
        return list(dict.fromkeys(names))

    def _differentiated(self) -> list[str]:
        if self._graph.outputs:
            return list(dict.fromkeys(self._graph.outputs))
        if not self._graph.names:
            raise GradcliError("ValueError", "there is nothing to differentiate: the program names no value")
        last = self._graph.definitions or list(self._graph.names)
        return [last[-1]]

    def _wanted(self, wrt: Sequence[str] | None) -> list[str]:
        variables = self.variables
        if wrt is None:
            if not variables:
                raise GradcliError(
                    "ValueError",
                    "the program has no variables to differentiate with respect to",
                    help="name what you want: `--wrt x`, or declare it: `variable x = …`",
                )
            return variables
        names: list[str] = []
        for entry in wrt:
            if any(c in entry for c in "*?["):
                matching = [name for name in variables if fnmatchcase(name, entry)]
                if not matching:
                    raise GradcliError(
                        "NameError",
                        f"no variable matches `{entry}`",
                        help=f"the variables are {', '.join(variables)}" if variables else "the program has none",
                    )
                names.extend(matching)
            else:
                names.append(self._known(entry))
        return list(dict.fromkeys(names))

    # seeds

    def _heads(self, of: list[str], ys: list[Node], seeds: Mapping[str, str | Array]) -> list[Node | None]:
        for name in seeds:
            if name not in of:
                self._known(name)
                raise GradcliError(
                    "ValueError",
                    f"`{name}` has a seed but is not among what is differentiated: {', '.join(of)}",
                    help=f"name it: `--of {','.join([*of, name])}`",
                )
        heads: list[Node | None] = []
        for name, y in zip(of, ys, strict=True):
            given = seeds.get(name)
            if given is None:
                heads.append(self._graph.seeds.get(name))
                continue
            node = self._seed_node(name, given)
            try:
                reverse.seed(y, node)
            except GradcliError as error:
                error.message = f"the seed of {name}: {error.message}"
                raise
            heads.append(node)
        return heads

    def _seed_node(self, name: str, given: str | Array) -> Node:
        if isinstance(given, str):
            state = Elaborator(self.source, {}, self.folder, None, self.random_seed)
            state.program.float_dtype = self._graph.float_dtype
            return constant_expression(given, f"--seed {name}", state)
        return _array_node(given)

    # evaluation

    def _with(self, values: Mapping[str, Array] | None) -> Program:
        """This program with other values: another one only where shapes, dtypes or NaNs may differ."""
        if not values:
            return self
        import numpy as np

        settings = {**self._settings, **{name: np.asarray(value) for name, value in values.items()}}
        return Program(self.source, self.folder, self.dtype, self.random_seed, settings, self.max_memory)

    def _plan(self, nodes: Sequence[Node]) -> Plan:
        plan = Plan(nodes)
        error = plan.check_memory(self.max_memory)
        if error is not None:
            label = self._locate(plan.largest) if plan.largest is not None else None
            error.labels = (label,) if label else ()
            raise error
        return plan

    def _evaluate(self, nodes: Sequence[Node]) -> list[Array]:
        if not nodes:
            return []
        plan = self._plan(nodes)
        return run(plan, self._values_of(plan), self._locate)

    def _values_of(self, plan: Plan, without: Iterable[Node] = ()) -> dict[Node, Array]:
        skipped = set(without)
        needed = [node for node in plan.nodes if node.op.name == "leaf" and node not in skipped]
        return {leaf: self._leaf_value(leaf) for leaf in needed}

    def _leaf_value(self, leaf: Node) -> Array:
        """A leaf's initial value, evaluated once, in the declared dtype and shape."""
        if leaf in self._leaf_values:
            return self._leaf_values[leaf]
        initial = self._graph.initial[leaf]
        if initial is None:
            span = self._graph.span(leaf)
            name = leaf.attrs["name"]
            raise GradcliError(
                "ValueError",
                f"the {leaf.attrs['kind']} `{name}` has no value, and the result depends on it",
                [Label(span, "declared without a value")] if span else [],
                help=f"give it one: `--set '{name}=…'`, or `{leaf.attrs['kind']} {name} = …` in the program",
            )
        if isinstance(initial, Node):
            inner = {x: self._leaf_value(x) for x in cone([initial]) if x.op.name == "leaf"}
            (value,) = run(self._plan([initial]), inner, self._locate)
        else:
            value = initial
        converted = _converted(value, leaf)
        self._leaf_values[leaf] = converted
        return converted

    def _locate(self, node: Node) -> Label | None:
        span: Span | None = self._graph.span(node)
        return Label(span) if span is not None else None


def _converted(value: Array, leaf: Node) -> Array:
    """A value in a leaf's dtype and shape; a scalar fills."""
    import numpy as np

    array = np.asarray(value)
    name = leaf.attrs["name"]
    if array.shape not in ((), leaf.shape):
        raise GradcliError(
            "ShapeError", f"`{name}` needs shape {list(leaf.shape)}, and the value has {list(array.shape)}"
        )
    if leaf.dtype.startswith("int") and array.dtype.kind not in "iu":
        raise GradcliError("TypeError", f"`{name}` is {leaf.dtype}, and the value is {array.dtype}")
    if leaf.dtype.startswith("int") and array.size:
        info = np.iinfo(leaf.dtype)
        if array.max() > info.max or array.min() < info.min:
            raise GradcliError("ValueError", f"the value of `{name}` does not fit into {leaf.dtype}")
    with np.errstate(all="ignore"):
        return np.broadcast_to(array.astype(leaf.dtype), leaf.shape)


def _array_node(value: Array) -> Node:
    from gradcli.language.special import _Data

    return array(values=_Data(value), shape=tuple(value.shape), dtype=str(value.dtype))


def _later(order: int, name: str) -> Reason:
    return Reason(f"None since order {order}: the derivative of order {order - 1} does not use {name}")

"""A program's text as a graph: what its names stand for, and the values of nodes."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Self

from gradcli.data import decode, read_bytes, standard
from gradcli.data.memory import Memory
from gradcli.diagnostics import GradcliError, Label, Source, listed, together
from gradcli.execute import choose
from gradcli.graph.node import Node, cone, uncollected
from gradcli.graph.operation import kernel_value
from gradcli.graph.ops.creation import Data, array, literal_op
from gradcli.graph.switches import without
from gradcli.graph.types import DTYPES
from gradcli.language.elaborate import Elaborator, elaborate
from gradcli.language.parser import parse
from gradcli.language.syntax import Bare, Declaration

if TYPE_CHECKING:
    from gradcli.execute.accelerator import Accelerator
    from gradcli.execute.choose import Choice
    from gradcli.execute.compiler import Native
    from gradcli.execute.plan import Plan
    from gradcli.execute.profile import Record
    from gradcli.execute.sizes import Means
    from gradcli.language.syntax import Program as Syntax
    from gradcli.language.values import Asked, Elaborated

Array = Any

FEW = 20_000
"""Operations up to which loops are written out step by step for those who look at each of them."""


class Loaded:
    """A program, elaborated into a graph: names to nodes, nodes to arrays. It does not change.

    ``with_…`` and :meth:`again` give others. Where it is made to answer one question, ``asked`` has the names of that:
    derivatives that only others need may be missing. Methods raise GradcliError.
    """

    source: Source
    """The text, and its name in messages."""

    folder: str | os.PathLike[str]
    """Where ``load`` in the program looks for files."""

    dtype: str | None
    """The precision in place of the program's dtype line, if any."""

    random_seed: int
    max_memory: int | None
    """Bytes of the arrays of a run; by default what is free."""

    threads: int | None
    """How many may work on large arrays; by default one for each processor."""

    accelerator: Accelerator | Native | None
    """What JAX computes the values on; None where NumPy does."""

    settings: Mapping[str, str | Array]
    """Values in place of those of variables and constants: arrays, or expressions of the language."""

    origins: Mapping[str, tuple[str, str | None]]
    """Files, and keys in them, that settings were read from."""

    unsafe: frozenset[str]
    """Variables and constants that may hold NaN or infinity, whatever their value is."""

    asked: Asked | None
    record: Record | None
    """Where runs note what they spend, if they are profiled."""

    inline: bool
    """Whether the text was typed at the shell: an expression at its end is an output, and names that are set are variables."""

    answer: str | None
    """What such an expression is called."""

    syntax: Syntax
    graph: Elaborated
    _leaf_values: dict[Node, Array]

    def __init__(
        self,
        source: Source,
        folder: str | os.PathLike[str],
        dtype: str | None,
        random_seed: int,
        settings: Mapping[str, str | Array],
        max_memory: int | None,
        unsafe: Iterable[str] = (),
        threads: int | None = None,
        asked: Asked | None = None,
        origins: Mapping[str, tuple[str, str | None]] | None = None,
        inline: bool = False,
        accelerator: Accelerator | Native | None = None,
    ) -> None:
        errors: list[GradcliError] = []
        answer = None
        try:
            syntax = parse(source)
        except GradcliError as error:
            from gradcli.language.recovery import around

            syntax, errors = around(source, error)
        if inline and (
            any([isinstance(x, Bare) for x in syntax.statements[-1:]])
            or not {x.name.id for x in syntax.statements if isinstance(x, Declaration)}.issuperset(settings)
        ):
            from gradcli.language.inline import completed

            syntax, answer = completed(syntax, settings)
        vars(self).update(
            source=source,
            folder=folder,
            dtype=dtype,
            random_seed=random_seed,
            max_memory=max_memory,
            threads=threads,
            accelerator=accelerator,
            origins=origins or {},
            unsafe=frozenset(unsafe),
            asked=asked,
            record=None,
            inline=inline,
            answer=answer,
            syntax=syntax,
            _leaf_values={},
        )
        try:
            given = {k: v if isinstance(v, (str, Node)) else given_array(v, k) for k, v in settings.items()}
            vars(self).update(settings=given, graph=self.elaborated(given))
        except GradcliError as error:
            raise together([*errors, error]) from None
        if errors:
            raise together(errors)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a program does not change, and neither does its `{name}`")

    def _changed(self, **members: object) -> Self:
        """A copy with other members."""
        other = object.__new__(type(self))
        vars(other).update(vars(self), **members)
        return other

    def elaborated(
        self, settings: Mapping[str, Any], every_call: bool = False, written_out: bool = False
    ) -> Elaborated:
        """The graph with these settings, which may be nodes too.

        With ``every_call`` also calls in calls are known, with ``written_out`` each step of a loop has nodes of its own.
        """
        graph = elaborate(
            self.syntax,
            self.source,
            overrides=settings,
            folder=self.folder,
            dtype=self.dtype,
            seed=self.random_seed,
            unsafe=self.unsafe,
            memory=Memory(self.max_memory),
            readers=self.accelerator.cluster if self.accelerator is not None else None,
            asked=self.asked,
            every_call=every_call,
            written_out=written_out,
        )
        if self.max_memory is not None:
            graph.derivation.history = min(graph.derivation.history, self.max_memory // 4)
        return graph

    # others of the same text

    def again(
        self,
        settings: Mapping[str, str | Array] | None = None,
        dtype: str | None = None,
        unsafe: Iterable[str] = (),
    ) -> Self:
        """This program, elaborated anew with other settings, in another precision, or with guards for unsafe names."""
        return type(self)(
            self.source,
            self.folder,
            dtype or self.dtype,
            self.random_seed,
            self.settings if settings is None else settings,
            self.max_memory,
            unsafe,
            self.threads,
            self.asked,
            inline=self.inline,
            accelerator=self.accelerator,
        )

    def with_values(self, values: Mapping[str, Array] | None) -> Self:
        """This program with other values of variables and constants, which may have other shapes and dtypes."""
        if not values:
            return self
        return self.again({**self.settings, **{name: given_array(value, name) for name, value in values.items()}})

    def with_leaf_values(self, values: Mapping[Node, Array]) -> Self:
        """This program, its graph included, with values for some leaves, which have the leaves' shapes and dtypes."""
        return self._changed(_leaf_values={**self._leaf_values, **values})

    def written_out(self) -> Self:
        """This program with a node for each operation of each step of its loops."""
        if not self.graph.has_loops:
            return self
        graph = self.elaborated(self.settings, written_out=True)
        names = {leaf: name for name, leaf in self.graph.leaves.items()}
        values = {graph.leaves[names[leaf]]: value for leaf, value in self._leaf_values.items()}
        return self._changed(graph=graph, _leaf_values=values)

    def written_out_if_short(self) -> Self:
        """The same up to ``FEW`` operations; of more the loops stay nodes."""
        return self.written_out() if self._operations_written_out() <= FEW else self

    def _operations_written_out(self) -> int:
        if not self.graph.has_loops:
            return 0
        from gradcli.graph.loops import operations_written_out

        return operations_written_out([x for x in self.graph.names.values() if isinstance(x, Node)])

    def with_every_call(self) -> Self:
        """This program with another graph of its own, whose ``calls`` are all that made it."""
        return self._changed(graph=self.elaborated(self.settings, every_call=True), _leaf_values={})

    def with_accelerator(self, accelerator: Accelerator | Native | None) -> Self:
        """This program, whose values JAX computes on an accelerator, or C, or for None NumPy."""
        return self._changed(accelerator=accelerator)

    def with_record(self, record: Record | None) -> Self:
        """This program, whose runs note in the record what they spend."""
        return self._changed(record=record)

    # what it has

    @property
    def variables(self) -> list[str]:
        """The names of the variables, in order of declaration."""
        return self.graph.variables

    @property
    def names(self) -> list[str]:
        """Every name of the top level that stands for a value."""
        return list(self.graph.names)

    @property
    def float_dtype(self) -> str:
        """The program's precision."""
        return self.graph.float_dtype

    def lacks_value(self, leaf: Node) -> bool:
        """Whether a variable or constant has no value."""
        return self.graph.initial.get(leaf) is None

    def without_value(self, roots: Sequence[Node]) -> set[Node]:
        """The nodes below the roots that depend on a leaf without a value."""
        found: set[Node] = set()
        for node in cone(roots):
            unset = node in self.graph.initial and self.graph.initial[node] is None and node not in self._leaf_values
            if unset or any([x in found for x in node.inputs]):
                found.add(node)
        return found

    def given(self, text: str, option: str) -> Node:
        """The node of an expression given beside the program, which sees the built-ins only; errors name the option."""
        state = Elaborator(self.source, {}, self.folder, None, self.random_seed)
        state.program.float_dtype = self.graph.float_dtype
        state.written_out = True
        return state.given(text, option)

    def written(self, node: Node) -> tuple[str, list[Label]]:
        """The name of the operation that an error of a node speaks of, and where that stands."""
        origin = self.graph.written(node)
        return origin.op.name, self.graph.labels(origin) or self.graph.labels(node)

    def locate(self, node: Node) -> Label | None:
        """Where a node, or what it is derived from, stands in the text."""
        span = self.graph.span(node)
        return Label(span) if span is not None else None

    # values

    def plan(
        self, nodes: Sequence[Node], known: Collection[Node] = (), repeated: bool = False, processes: bool = False
    ) -> Plan:
        """How nodes are evaluated, once or ``repeated``; ``known`` are nodes whose values are at hand.

        Raises GradcliError (LimitError) where memory does not do.
        """
        from gradcli.execute.sizes import Means

        means = Means(self.threads or 0, repeated, processes)
        plan = self._planned(nodes, known, means, apart=True)
        error = plan.check_memory(self.max_memory)
        if error is not None and self.graph.has_loops:  # loops that are not taken apart stack less
            plan = self._planned(nodes, known, means, apart=False)
            error = plan.check_memory(self.max_memory)
        if error is not None:
            largest = plan.largest
            error.labels = tuple(self.graph.labels(plan.original.get(largest, largest))) if largest is not None else ()
            raise error
        return plan

    def _planned(self, nodes: Sequence[Node], known: Collection[Node], means: Means, apart: bool) -> Plan:
        """The plan, whatever memory it needs."""
        from gradcli.execute.plan import Plan

        loops: dict[Node, Node] = {}
        with uncollected():
            if self.graph.has_loops:
                from gradcli.program.loops import NUMPY, OFTEN, PLANNED, lowered

                runs = OFTEN if means.repeated else 1
                nodes, loops = lowered(nodes, known, runs, PLANNED if apart else NUMPY)
            if without("simplify"):
                return Plan(nodes, loops, means=means, known=known)
            from gradcli.rewrite.simplify import Simplified

            simple = Simplified(nodes, not without("halfangle"), known)
            original = {new: loops.get(old, old) for new, old in simple.original.items()}
            return Plan(simple.targets, {**loops, **original}, simple.leaves, means, known)

    def evaluate(self, nodes: Sequence[Node], plain: bool = False) -> list[Array]:
        """The values of nodes as arrays or, where ``plain`` allows it, as plain numbers."""
        if not nodes:
            return []
        if self.accelerator is not None:
            if self.accelerator.backend == "native":
                from gradcli.program import natively

                return natively.evaluate(self, nodes)
            from gradcli.program import jitted

            return jitted.evaluate(self, nodes)
        values = self._scalars(nodes, plain) if self.record is None else None
        if values is not None:
            return values
        plan = self.plan(nodes)
        if self.record is not None:
            self.record.asked.append((nodes, plain, plan))
        return self.run(plan, self.leaf_values(plan))

    def run(self, plan: Plan, leaves: Mapping[Node, Array]) -> list[Array]:
        """The values of a plan's targets for those of its leaves."""
        from gradcli.execute.run import run

        return run(plan, leaves, self.written, self.record)

    def choice_of_scalars(self, plain: bool = False) -> Choice:
        """What computes the program's values if all of them are scalars."""
        return choose.of_scalars(self.graph.size, plain, self.max_memory is not None)

    def _scalars(self, nodes: Sequence[Node], plain: bool) -> list[Array] | None:
        """The values of nodes by an engine for scalars, if one is chosen and they are what it computes."""
        engine = self.choice_of_scalars(plain).engine
        if engine == "plain numbers":
            from gradcli.execute import plain_numbers

            return plain_numbers.evaluate(nodes, self.graph.initial)
        if engine == "sweeps":
            from gradcli.program import swept

            return swept.values(self, nodes)
        return None

    def sweeps(self) -> bool:
        """Whether sweeps find the gradients of scalars, without a graph of them."""
        return self.record is None and self.accelerator is None and self.choice_of_scalars().engine == "sweeps"

    def leaf_values(self, plan: Plan, without: Iterable[Node] = ()) -> dict[Node, Array]:
        """The values of the leaves that a plan needs, but for some that others give."""
        skipped = set(without)
        return {leaf: self.leaf_value(leaf) for leaf in plan.leaves if leaf not in skipped}

    def leaf_value(self, leaf: Node) -> Array:
        """A leaf's initial value, evaluated once, in the declared dtype and shape."""
        if leaf in self._leaf_values:
            return self._leaf_values[leaf]
        initial = self.graph.initial[leaf]
        if initial is None:
            span = self.graph.span(leaf)
            name = leaf.attrs["name"]
            raise GradcliError(
                "ValueError",
                f"the {leaf.attrs['kind']} `{name}` has no value, and the result depends on it",
                [Label(span, "declared without a value")] if span else [],
                help=f"give it one: `--set '{name}=…'`, or `{leaf.attrs['kind']} {name} = …` in the program",
            )
        if isinstance(initial, Node) and initial.op is literal_op and self.record is None:
            import numpy as np

            value = kernel_value(np, initial)
        elif isinstance(initial, Node):
            inner = {x: self.leaf_value(x) for x in cone([initial]) if x.op.name == "leaf"}
            (value,) = self.run(self.plan([initial]), inner)
        else:
            value = initial
        self._leaf_values[leaf] = converted(value, leaf)
        return self._leaf_values[leaf]


def read_source(path: str | os.PathLike[str]) -> str:
    """The text of a program file; a GradcliError (DataError) where it cannot be read or is not UTF-8."""
    return decode(read_bytes(path), os.fspath(path))


def from_text(text: str, name: str, folder: str | os.PathLike[str] = "") -> Loaded:
    """The program of a text as it is written. Raises GradcliError."""
    return Loaded(Source(name, text), folder, None, 0, {}, None)


def given_array(value: Any, name: str) -> Array:
    """A value that Python gives for a name, in one of the five dtypes; a DataError where it is not an array of numbers."""
    import numpy as np

    what = f"the value given for `{name}`"
    try:
        array = np.asarray(value)
    except ValueError:
        raise GradcliError("DataError", f"{what} is not an array: its rows differ in length") from None
    except Exception as problem:  # noqa: BLE001  an object may do anything when it is asked for its array
        raise GradcliError("DataError", f"{what} is not an array: {problem}") from None
    if array.dtype == object:
        raise GradcliError(
            "DataError",
            f"{what} is {type(value).__name__}, which is not an array of numbers that fit into one of {listed(DTYPES)}",
            help="give a number, a list of numbers or a NumPy array",
        )
    return array if array.dtype.name in DTYPES and array.dtype.isnative else standard(array, what)


def converted(value: Array, leaf: Node, copy: bool = True) -> Array:
    """A value in a leaf's dtype and shape; a scalar fills."""
    import numpy as np

    is_array = type(value) is np.ndarray or isinstance(value, np.generic)  # no np.matrix
    if is_array and not copy and value.shape == leaf.shape and value.dtype == leaf.dtype:
        return value
    name = leaf.attrs["name"]
    array = given_array(value, name)
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
        return np.broadcast_to(array.astype(leaf.dtype, copy=copy), leaf.shape)


def array_node(value: Array) -> Node:
    """A constant node that holds an array."""
    return array(values=Data(value), shape=tuple(value.shape), dtype=str(value.dtype))

"""A program's text as a graph: what its names stand for, and the values of nodes."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

from gradcli.autodiff import reverse
from gradcli.data import standard
from gradcli.data.memory import Memory
from gradcli.diagnostics import GradcliError, Label, Source, Span, did_you_mean, listed
from gradcli.graph.node import Node, cone
from gradcli.graph.ops.creation import Data, array
from gradcli.graph.switches import without
from gradcli.graph.types import DTYPES
from gradcli.language.elaborate import Elaborator, elaborate
from gradcli.language.frames import Frames
from gradcli.language.parser import parse
from gradcli.language.values import LARGE, Asked, Elaborated, Missing

if TYPE_CHECKING:
    from gradcli.execute.plan import Plan
    from gradcli.execute.profile import Record

Array = Any


class Loaded:
    """A program, parsed and turned into a graph: names to nodes, nodes to arrays.

    Where it is made to answer one question, ``asked`` has the names of that: derivatives that only others need may be
    missing.
    """

    def __init__(
        self,
        source: Source,
        folder: str | os.PathLike[str],
        dtype: str | None,
        random_seed: int,
        settings: dict[str, str | Array],
        max_memory: int | None,
        unsafe: Iterable[str] = (),
        threads: int | None = None,
        asked: Asked | None = None,
    ) -> None:
        self.source = source
        self.folder = folder
        self.dtype = dtype
        self.random_seed = random_seed
        self.max_memory = max_memory
        self.threads = threads
        self.record: Record | None = None  # of a run that is to be profiled
        self.origins: dict[str, tuple[str, str | None]] = {}  # files, and keys in them, that settings were read from
        self._unsafe = frozenset(unsafe)
        self._asked = asked
        self._syntax = parse(source)
        self._settings = {
            name: given if isinstance(given, str) else given_array(given, name) for name, given in settings.items()
        }
        self._graph = self._elaborate(self._settings)
        self._leaf_values: dict[Node, Array] = {}

    def _elaborate(self, settings: Mapping[str, Any], frames: Frames | None = None) -> Elaborated:
        return elaborate(
            self._syntax,
            self.source,
            overrides=settings,
            folder=self.folder,
            dtype=self.dtype,
            seed=self.random_seed,
            unsafe=self._unsafe,
            memory=Memory(self.max_memory),
            frames=frames,
            asked=self._asked,
        )

    def framed(self) -> Frames:
        """The calls of the program: its graph is made anew, and from now on that is its graph."""
        frames = Frames()
        self._graph = self._elaborate(self._settings, frames)
        self._leaf_values = {}
        return frames

    @property
    def variables(self) -> list[str]:
        """The names of the variables, in order of declaration."""
        return self._graph.variables

    @property
    def names(self) -> list[str]:
        """Every name of the top level that stands for a value."""
        return list(self._graph.names)

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
        if name in self._graph.names and name not in self._graph.leaves:
            raise self._graph.computed(name)
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
            node = self._constant(name, given)
            try:
                reverse.seed(y, node)
            except GradcliError as error:
                error.message = f"the seed of {name}: {error.message}"
                raise
            heads.append(node)
        return heads

    def _constant(self, name: str, given: str | Array, option: str = "--seed") -> Node:
        """A value given for a name: an expression that sees the built-ins only, or an array."""
        if isinstance(given, str):
            state = Elaborator(self.source, {}, self.folder, None, self.random_seed)
            state.program.float_dtype = self._graph.float_dtype
            return state.given(given, f"{option} {name}")
        return array_node(given)

    # evaluation

    def _with(self, values: Mapping[str, Array] | None) -> Self:
        """This program with other values: another one only where shapes, dtypes or NaNs may differ."""
        if not values:
            return self
        return self._again({**self._settings, **{name: given_array(value, name) for name, value in values.items()}})

    def _with_unsafe(self, names: Iterable[str]) -> Self:
        """This program with guards for variables and constants that may hold NaN or infinity."""
        return self._again(self._settings, unsafe=names)

    def _again(self, settings: dict[str, Any], dtype: str | None = None, unsafe: Iterable[str] = ()) -> Self:
        """This program, elaborated anew with other settings or in another precision."""
        return type(self)(
            self.source, self.folder, dtype or self.dtype, self.random_seed, settings, self.max_memory, unsafe,
            self.threads, self._asked,
        )  # fmt: skip

    def _plan(
        self, nodes: Sequence[Node], known: Collection[Node] = (), repeated: bool = False, processes: bool = False
    ) -> Plan:
        """How nodes are evaluated, once or ``repeated``; ``known`` are nodes whose values are at hand.

        Raises GradcliError (LimitError) where memory does not do.
        """
        from gradcli.execute.plan import Plan
        from gradcli.execute.sizes import Means

        means = Means(self.threads or 0, repeated, processes)
        if without("simplify"):
            plan = Plan(nodes, means=means, known=known)
        else:
            from gradcli.rewrite.simplify import Simplified

            simple = Simplified(nodes, not without("halfangle"), known)
            plan = Plan(simple.targets, simple.original, simple.leaves, means, known)
        error = plan.check_memory(self.max_memory)
        if error is not None:
            largest = plan.largest
            label = self._locate(plan.original.get(largest, largest)) if largest is not None else None
            error.labels = (label,) if label else ()
            raise error
        return plan

    def _evaluate(self, nodes: Sequence[Node], plain: bool = False) -> list[Array]:
        """The values of nodes as arrays or, where ``plain`` allows it, as plain numbers."""
        if not nodes:
            return []
        small = self._graph.size < LARGE and self.max_memory is None and self.record is None
        if plain and small and not without("plain"):
            from gradcli.execute import plain_numbers

            numbers = plain_numbers.evaluate(nodes, self._graph.initial)
            if numbers is not None:
                return numbers
        swept = self._sweeps()
        values: list[Array] | None = swept.values(self, nodes) if swept is not None else None
        if values is not None:
            return values
        plan = self._plan(nodes)
        return self._run(plan, self._values_of(plan))

    def _run(self, plan: Plan, leaves: Mapping[Node, Array]) -> list[Array]:
        from gradcli.execute.run import run

        return run(plan, leaves, self._written, self.record)

    def _sweeps(self) -> ModuleType | None:
        """The sweeps over scalar programs, where the program is large enough for them and they are wanted."""
        if self._graph.size < LARGE or self.record is not None or without("sweep"):
            return None
        from gradcli.program import swept

        return swept

    @property
    def float_dtype(self) -> str:
        """The program's precision."""
        return self._graph.float_dtype

    def lacks_value(self, leaf: Node) -> bool:
        """Whether a variable or constant has no value."""
        return self._graph.initial.get(leaf) is None

    def _values_of(self, plan: Plan, without: Iterable[Node] = ()) -> dict[Node, Array]:
        skipped = set(without)
        return {leaf: self._leaf_value(leaf) for leaf in plan.leaves if leaf not in skipped}

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
            (value,) = self._run(self._plan([initial]), inner)
        else:
            value = initial
        self._leaf_values[leaf] = converted(value, leaf)
        return self._leaf_values[leaf]

    def _without_value(self, roots: Sequence[Node]) -> set[Node]:
        """The nodes below the roots that depend on a leaf without a value."""
        found: set[Node] = set()
        for node in cone(roots):
            unset = node in self._graph.initial and self._graph.initial[node] is None and node not in self._leaf_values
            if unset or any([x in found for x in node.inputs]):
                found.add(node)
        return found

    def _written(self, node: Node) -> tuple[str, Label | None]:
        """The name of the operation that an error of a node speaks of, and where that stands."""
        written: Node = self._graph.written(node)
        return written.op.name, self._locate(written) or self._locate(node)

    def _locate(self, node: Node) -> Label | None:
        span: Span | None = self._graph.span(node)
        return Label(span) if span is not None else None


def given_array(value: Any, name: str) -> Array:
    """A value that Python gives for a name, in one of the five dtypes; a DataError where it is no array of numbers."""
    import numpy as np

    what = f"the value given for `{name}`"
    try:
        array = np.asarray(value)
    except ValueError:
        raise GradcliError("DataError", f"{what} is no array: its rows differ in length") from None
    except Exception as problem:  # noqa: BLE001  an object may do anything when it is asked for its array
        raise GradcliError("DataError", f"{what} is no array: {problem}") from None
    if array.dtype == object:
        raise GradcliError(
            "DataError",
            f"{what} is {type(value).__name__}, which is no array of numbers that fit into one of {listed(DTYPES)}",
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
    return array(values=Data(value), shape=tuple(value.shape), dtype=str(value.dtype))

"""What an operation is: its name and signature, shape rule, kernel and derivative, as one entry of the table.

The sorts of derivative rule are data; the passes of :mod:`gradcli.autodiff` interpret them. One entry serves every
pass: reverse mode, forward mode, Taylor series and Jacobians follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from math import copysign, inf
from typing import TYPE_CHECKING, Any, Literal

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import NO_ATTRS, TABLE, Node, Number, cone, derived_float, make, rebuilt
from gradcli.graph.types import (
    FLOAT32_RANGE,
    MOST_AXES,
    RANK,
    Shape,
    broadcast,
    check_shape,
    is_float,
    is_integer,
    is_ordinary,
    normalize_axis,
    promote,
)

if TYPE_CHECKING:
    from gradcli.graph.ops.corners import Corner

Infer = Callable[[Sequence[Node], dict[str, Any]], tuple[Shape, str]]
Kernel = Callable[..., Any]
Partial = Callable[..., "Node | Number"]


class Zero:
    """A partial derivative that is identically 0: connected, but the result forgets the incoming gradient."""


ZERO = Zero()


class Elementwise:
    """The local partials as expressions ``partial(y, *inputs)``, one per input; None for an input without one.

    ``absorbs`` lists the inputs to which 0 is passed on wherever the incoming gradient is 0, also where the partial is
    infinite (TensorFlow's ``sqrt``, ``rsqrt`` and ``reciprocal``). With ``factors`` a partial that is a product multiplies
    the gradient factor by factor: the product of those of 1/x^2 underflows before the result does.
    """

    __slots__ = ("absorbs", "factors", "partials")

    def __init__(
        self, partials: tuple[Partial | Zero | None, ...], absorbs: tuple[int, ...] = (), factors: bool = False
    ) -> None:
        self.partials = partials
        self.absorbs = absorbs
        self.factors = factors


class Linear:
    """Linear in all differentiable inputs together: only the transpose ``transpose(i, g, y)`` is written.

    ``inputs`` lists the differentiable inputs, or gives them for a node; None means all. ``picks`` says whether a result leaves out entries of the
    inputs: those are not selected, as in a branch of ``where`` that is not taken.
    """

    __slots__ = ("inputs", "picks", "transpose")

    def __init__(
        self,
        transpose: Callable[[int, Node, Node], Node],
        inputs: tuple[int, ...] | Callable[[Node], tuple[int, ...]] | None = None,
        picks: Callable[[Node], bool] = lambda y: False,
    ) -> None:
        self.transpose = transpose
        self.inputs = inputs
        self.picks = picks


class Product:
    """The elementwise product of two inputs, or the sum of such products of the inputs 0 and 1, 2 and 3, ….

    The partner of input i is input ``i ^ 1``.
    """

    __slots__ = ()


class Contraction:
    """An einsum: ``labels(inputs, attrs)`` gives one tuple of index labels per input and one for the output.

    Labels of one input are distinct, and those of the output occur in some input.
    """

    __slots__ = ("labels",)

    def __init__(
        self, labels: Callable[[Sequence[Node], dict[str, Any]], tuple[list[tuple[int, ...]], tuple[int, ...]]]
    ) -> None:
        self.labels = labels


class Select:
    """``where(condition, a, b)``: linear in a and b, and what is not selected contributes exactly nothing."""

    __slots__ = ()


class SameAs:
    """An expression of the inputs and the output with the same derivatives: ``expression(y, *inputs)``.

    With ``link`` the gradient also depends on y, with derivative 0 (TensorFlow's ``relu``: 1, 0, 0, …, never None).
    ``inputs`` lists the differentiable inputs, None means all.
    """

    __slots__ = ("expression", "inputs", "link")

    def __init__(
        self, expression: Callable[..., Node], link: bool = False, inputs: tuple[int, ...] | None = None
    ) -> None:
        self.expression = expression
        self.link = link
        self.inputs = inputs


class Tangent:
    """The tangent ``tangent(y, inputs, tangents)`` as an expression linear in the tangents.

    ``tangents`` holds a node for one input and None for each other: the rule is called once per input.
    For an input in which the operation itself is linear, ``transposes`` holds the transpose as for :class:`Linear`.
    ``matrix`` says that input 0 is a stack of square matrices which the rule solves with: each must be regular, and
    one of which nothing is selected is replaced by the identity. ``inputs`` gives the differentiable inputs of a node;
    None means all. ``adjoint(i, g, y)`` may give what reverse mode passes on to an input in a form that has more
    derivatives, or fewer operations, than the transposed tangent; None where it has none.
    """

    __slots__ = ("adjoint", "inputs", "matrix", "tangent", "transposes")

    def __init__(
        self,
        tangent: Callable[[Node, Sequence[Node], Sequence[Node | None]], Node],
        transposes: dict[int, Callable[[int, Node, Node], Node]] | None = None,
        matrix: bool = False,
        inputs: Callable[[Node], tuple[int, ...]] | None = None,
        adjoint: Callable[[int, Node, Node], Node | None] | None = None,
    ) -> None:
        self.adjoint = adjoint
        self.inputs = inputs
        self.tangent = tangent
        self.transposes = transposes or {}
        self.matrix = matrix


class NoDerivative:
    """No gradient passes: comparisons, rounding, conversions to integers, shapes."""

    __slots__ = ()


class Repeated:
    """The results of a loop (:mod:`gradcli.graph.loops`): derivatives are those of its body, step by step."""

    __slots__ = ()


Degree = Literal[
    "", "linear", "product", "square", "sign", "abs", "ramp", "quotient", "solve", "power", "entries", "zero", "rule"
]
"""How a result depends on its inputs as a polynomial; :mod:`gradcli.autodiff.degree` says what each means."""

Entries = Literal["", "moved", "negated", "placed", "repeated", "added"]
"""What an entry of a result is made of.

``moved``: one entry of an input, each taken at most once. ``negated``: the same with the other sign. ``placed``: the
same, and 0 elsewhere. ``repeated``: one entry of an input, which may be taken several times. ``added``: a sum of entries,
each of which is in one sum only, with the factor 1 or -1 (but for broadcasting).
"""

Parity = Literal["", "odd", "even"]
"""Whether a function of one input is odd, f(-x) = -f(x), or even, f(-x) = f(x)."""

Flow = Literal[
    "", "entries", "accumulated", "reduced", "along", "matrices", "stacked", "transposed", "reshaped", "indexed",
    "unindexed", "gathered", "rows", "diagonals",
]  # fmt: skip
"""Which axes of the inputs become which axes of the result; :mod:`gradcli.graph.flow` gives the labels of each."""

Leading = Literal["broadcast", "counted", "last"] | Callable[..., "Node"]
"""How an operation takes one more axis in front of those of its inputs (:mod:`gradcli.graph.leading`).

``broadcast``: inputs broadcast from the last axis on. ``counted``: attributes number the axes. ``last``: it works on the
last axes, whatever stands before them. Else a rule of its own that makes the new node.
"""

Rule = Elementwise | Linear | Product | Contraction | Select | SameAs | Tangent | Repeated | NoDerivative


class Parameter:
    """One parameter of a signature.

    ``kind`` is ``tensor``, ``indices`` or ``condition`` (a tensor whose dtype is its own affair), ``tensors`` (a list of
    them), ``operands`` (all remaining positional arguments) or, for what must be known before anything is evaluated,
    ``int ints axis axes shape number flag dtype string``; a ``parameter`` is a number or a value, then an input, a ``mask``
    a value of the entries that count.
    """

    __slots__ = ("name", "kind", "default", "keyword_only")

    def __init__(self, name: str, kind: str, default: str | None, keyword_only: bool) -> None:
        self.name = name
        self.kind = kind
        self.default = default
        self.keyword_only = keyword_only

    @property
    def one_tensor(self) -> bool:
        """Whether the argument is one input of the node."""
        return self.kind in ("tensor", "indices", "condition")


EVERYWHERE = "all real numbers"
"""The domain of operations that take any number."""

NUMBERS_AXES = {"axis", "axes", "items", "shape", "pattern"}
"""Parameters that number axes of the inputs, or have an entry for each axis."""


class Operation:
    """One entry of the table.

    ``spec`` is the signature, each parameter as ``name``, ``name:kind`` or ``name:kind=default``.
    ``accepts`` says what the inputs are brought to before ``infer`` sees them: ``number`` (a common dtype, not bool),
    ``float`` (a common dtype, integers become floats), ``any`` (left alone), ``same`` (a common dtype, bool allowed),
    ``bool``. A composed operation has ``expand`` in place of infer, kernel and rule; one that is composed in some cases
    has both, and ``expand`` gives None in the others. With ``several`` values ``expand`` gives a tuple of nodes, and
    :meth:`each` is called.
    ``workspace``: how many arrays of the size of its largest operand the kernel takes beside its result.
    ``singular``: the value or a partial may be NaN or infinite at an ordinary input (for some inputs: a function of
    them); ordinary numbers are those whose fourth power is finite, so that sums and products are not singular.
    ``squared(y, *inputs)`` is the square of a result that is a root, as a polynomial of the inputs: even powers of the
    result have the derivatives of that polynomial, also where the root has a kink.

    The facts, each tested against the kernel for every entry of the table:
    ``bounds``: the least and the largest entry of a result, NaN apart; a least one of -0.0 says that there may be -0, one of
    0.0 that there is none. ``closed``: no entry is negative or -0 where no entry of the inputs of its dtype is.
    ``zero_where``: an entry is 0 where those of these inputs all are (in reductions: all that it is made of), () if always.
    ``degree``, ``entries``, ``parity`` and ``flow`` are words explained beside their types. ``piecewise``: several polynomials that meet
    at kinks or jumps. ``corner``: where it has those, and what its derivative is taken as there. ``triangular``: 0 above the
    diagonal of the last two axes. ``indicator``: 0 and 1, and 0 by what it is, not by the values of its inputs.
    ``given``: its numbers come from the program or a generator, and are not computed from inputs. ``shares``: whether the
    kernel's result lies in the memory of an input. ``overflows``: integers up to which the result is finite in float32
    and float64. ``numbers``: which plain numbers of Python the kernel takes in place of arrays: none, floats, or integers
    too. ``combined``: NumPy's function that puts the parts of an ``accumulated`` reduction together. ``cheap``: about
    as fast as memory, to decide about threads.

    ``leading`` says how it takes one more axis in front, where neither the flow nor the parameters do.
    ``written(y, *inputs)`` says the same with operations that people know: what a formula shows for an operation that
    only derivatives use. ``plain(y, *inputs)`` is a shorter formula, which does where ``is_plain(xp, *values,
    **attrs)`` holds.
    """

    def __init__(
        self,
        name: str,
        spec: str,
        doc: str,
        *,
        family: str = "",
        aliases: tuple[str, ...] = (),
        accepts: Literal["number", "float", "any", "same", "bool"] = "number",
        infer: Infer | None = None,
        kernel: Kernel | None = None,
        rule: Rule | None = None,
        expand: Callable[..., Any] | None = None,
        several: bool = False,
        squared: Callable[..., Node] | None = None,
        written: Callable[..., Node] | None = None,
        plain: Callable[..., Node] | None = None,
        is_plain: Callable[..., Any] | None = None,
        adapt: Callable[[list[Node]], list[Node]] | None = None,
        singular: bool | Callable[[Sequence[Node]], bool] = False,
        shareable: bool = True,
        hidden: bool = False,
        symbol: str | None = None,
        degree: Degree = "",
        bounds: tuple[float, float] = (-inf, inf),
        closed: bool = False,
        zero_where: tuple[int, ...] | None = None,
        entries: Entries = "",
        flow: Flow = "",
        leading: Leading | None = None,
        piecewise: bool = False,
        corner: Corner | None = None,
        parity: Parity = "",
        triangular: bool = False,
        indicator: bool = False,
        given: bool = False,
        shares: Literal["never", "always", "sometimes"] = "never",
        overflows: tuple[int, int] | None = None,
        numbers: Literal["", "float", "any"] = "",
        cheap: bool = False,
        combined: str = "add",
        workspace: float | Callable[[Node], float] = 0.0,
        formula: str = "",
        domain: str = EVERYWHERE,
        example: str = "",
    ) -> None:
        self.name = name
        self.spec = spec
        self.doc = doc
        self.family = family
        self.aliases = aliases
        self.accepts = accepts
        self.infer = infer
        self.kernel = kernel
        self.rule: Rule = rule if rule is not None else NoDerivative()
        self.expand = expand
        self.several = several
        self.squared = squared
        self.written = written
        self.plain = plain
        self.is_plain = is_plain
        self.adapt = adapt
        self.singular = singular
        self.shareable = shareable
        self.hidden = hidden
        self.symbol = symbol
        self.degree = degree or _degree_of(self.rule)
        self.bounds = bounds
        self.closed = closed or entries in ("moved", "placed", "repeated")
        self.zero_where = zero_where
        self.entries = entries
        self.entrywise = family in ("elementwise", "selection")
        self.flow: Flow = flow or ("entries" if self.entrywise else "")
        self._leading = leading
        self.piecewise = piecewise
        self.corner = corner
        self.parity: Parity = parity
        self.triangular = triangular
        self.indicator = indicator
        self.given = given
        self.shares = shares
        self.overflows = overflows
        self.numbers = numbers
        self.cheap = cheap
        self.combined = combined
        self.workspace = workspace
        self.formula = formula
        self.domain = domain
        self.example = example
        self.quick = expand is None and adapt is None and ":" not in spec and infer in (broadcasting, unchanged)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        result: list[Parameter] = []
        keyword_only = False
        for part in filter(None, (p.strip() for p in self.spec.split(", "))):
            if part == "*":
                keyword_only = True
                continue
            head, _, default = part.partition("=")
            name, _, kind = head.partition(":")
            result.append(Parameter(name, kind or "tensor", default or None, keyword_only))
        return tuple(result)

    @cached_property
    def leading(self) -> Leading | None:
        """How it takes one more axis in front; None where that follows from the rule of a contraction, or is not known."""
        if self._leading is not None:
            return self._leading
        if self.flow in ("entries", "matrices"):
            return "broadcast" if self.flow == "entries" else "last"
        return "counted" if any([p.name in NUMBERS_AXES for p in self.parameters]) else None

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The default of every static parameter that has one."""
        return {
            p.name: _default(p.default)
            for p in self.parameters
            if p.default is not None and not p.kind.startswith("tensor")
        }

    @cached_property
    def apart(self) -> tuple[int, ...]:
        """Positions of inputs that take no part in bringing dtypes together: conditions and indices."""
        inputs = [p for p in self.parameters if p.one_tensor]
        return tuple(i for i, p in enumerate(inputs) if p.kind != "tensor")

    @cached_property
    def signature(self) -> str:
        shown: list[str] = []
        for p in self.parameters:
            if p.keyword_only and "*" not in shown:
                shown.append("*")
            shown.append(f"{'*' if p.kind == 'operands' else ''}{p.name}" + (f"={p.default}" if p.default else ""))
        return f"{self.name}({', '.join(shown)})"

    @property
    def wraps(self) -> bool:
        """Whether NumPy's integers may wrap around here, which the kernel looks for: it must be what computes them."""
        return bool(getattr(self.kernel, "wraps", False))

    @property
    def compares(self) -> bool:
        """Whether it is a comparison of two values."""
        return self.accepts == "same" and self.infer is boolean

    @property
    def connects(self) -> bool:
        """Whether it is 0 and there only to keep a gradient from being None."""
        return self.zero_where == () and not isinstance(self.rule, NoDerivative)

    @property
    def folds(self) -> bool:
        """Whether a reduction is its parts put together by ``combined`` and nothing else: a mean divides, too."""
        return self.flow == "accumulated" and (self.entries == "added" or self.combined != "add")

    @property
    def nonnegative(self) -> bool:
        """Whether no entry is negative; some may be -0."""
        return self.bounds[0] >= 0

    @property
    def positive(self) -> bool:
        """Whether no entry is negative or -0."""
        return self.bounds[0] >= 0 and copysign(1.0, self.bounds[0]) > 0

    def is_singular(self, node: Node) -> bool:
        """Whether the value or a partial of a node may be NaN or infinite at an ordinary input."""
        return self.singular(node.inputs) if callable(self.singular) else self.singular

    def differentiable_inputs(self, node: Node) -> Sequence[int]:
        """The positions of a node's inputs through which a gradient can pass."""
        rule = self.rule
        if isinstance(rule, NoDerivative):
            return ()
        if isinstance(rule, Select):
            return (1, 2)
        if isinstance(rule, (Linear, SameAs, Tangent)):
            inputs = rule.inputs
            if inputs is not None:
                return inputs(node) if callable(inputs) else inputs
        elif isinstance(rule, Repeated):
            passes = node.attrs["body"].passes(node.attrs["result"])
            return [i for i, p in enumerate(node.attrs["given"]) if p in passes]
        elif isinstance(rule, Elementwise):
            return [i for i, p in enumerate(rule.partials) if p is not None]
        return range(len(node.inputs))

    def __call__(self, *inputs: Node | Number, **attrs: Any) -> Node:
        """The node of this operation on nodes and numbers (which take the dtype of the nodes); errors are GradcliErrors."""
        if self.quick and (node := self.quickly(inputs)) is not None:
            return node
        nodes = as_nodes(inputs)
        if self.defaults:
            attrs = {**self.defaults, **attrs}
        nodes = self.prepare(nodes)
        if self.expand is not None:
            made: Node | None = self.expand(*nodes, **attrs)
            if made is not None:
                return made
        assert self.infer is not None
        shape, dtype = self.infer(nodes, attrs)
        if len(shape) > MOST_AXES or 0 in shape:
            check_shape(shape)
        return make(self, tuple(nodes), attrs, shape, dtype)

    def each(self, *inputs: Node | Number, **attrs: Any) -> tuple[Node, ...]:
        """The nodes of an operation of several values; errors are GradcliErrors."""
        assert self.several and self.expand is not None
        nodes: tuple[Node, ...] = self.expand(*self.prepare(as_nodes(inputs)), **{**self.defaults, **attrs})
        return nodes

    def quickly(self, inputs: tuple[Node | Number, ...]) -> Node | None:
        """The frequent case: one or two nodes of one float dtype, and of one shape but for scalars."""
        a, b = inputs[0], inputs[-1]
        if a.__class__ is not Node or b.__class__ is not Node or len(inputs) > 2:
            return None
        dtype, shape = a.dtype, a.shape
        if b.dtype != dtype or RANK[dtype] < 3:
            return None
        other = b.shape
        if other != shape and other:
            if shape:
                return None
            shape = other
        return make(self, inputs, NO_ATTRS, shape, dtype)  # type: ignore[arg-type]

    def prepare(self, nodes: list[Node], float_dtype: str | None = None) -> list[Node]:
        """The inputs converted to what the operation accepts; TypeError where that is impossible."""
        if self.adapt is not None:
            return self.adapt(nodes)
        if not nodes or self.accepts == "any":
            return nodes
        dtype = nodes[0].dtype
        accepts = self.accepts
        if accepts != "bool" and RANK[dtype] >= 3 and all([x.dtype is dtype for x in nodes]):
            return nodes  # the common case: floats of one dtype
        dtype = promote([x.dtype for x in nodes])
        if accepts == "bool":
            for i, x in enumerate(nodes):
                if x.dtype != "bool":
                    raise GradcliError(
                        "TypeError",
                        f"{self.name} needs bool, not {x.dtype}",
                        operands=[(i, f"dtype {x.dtype}")],
                        help="compare it: `x != 0`",
                    )
            return nodes
        if accepts == "number" and dtype == "bool":
            raise GradcliError(
                "TypeError",
                f"{self.name} needs numbers, not bool",
                operands=[(i, "dtype bool") for i in range(len(nodes))],
                help="convert it: `cast(x, int64)` or `cast(x, float64)`",
            )
        if accepts == "float" and not is_float(dtype):
            dtype = float_dtype or derived_float()
        return [x if x.dtype == dtype else cast_to(x, dtype) for x in nodes]


def _default(text: str) -> bool | int | float | str | None:
    """The value of a default in a signature: None, true, 3, 0.2, "none"."""
    if text in ("None", "true", "false"):
        return {"None": None, "true": True, "false": False}[text]
    if text.startswith('"'):
        return text.strip('"')
    return float(text) if "." in text else int(text)


def _degree_of(rule: Rule) -> Degree:
    """What a sort of rule says of the degree."""
    if isinstance(rule, (Linear, Select)):
        return "linear"
    return "product" if isinstance(rule, (Product, Contraction)) else ""


def register(op: Operation) -> Operation:
    """Put an operation into the table."""
    assert op.name not in TABLE, f"two operations are called {op.name}"
    TABLE[op.name] = op
    return op


def cast_to(x: Node, dtype: str) -> Node:
    """The node in a dtype."""
    return x if x.dtype == dtype else TABLE["cast"](x, dtype=dtype)


def literal(value: Number, dtype: str) -> Node:
    """A scalar constant; integers given for a float dtype are converted, what float32 cannot hold becomes infinite."""
    if not is_float(dtype):
        return make(TABLE["literal"], (), {"value": value}, (), dtype)
    value = float(value)
    if dtype == "float32" and abs(value) >= FLOAT32_RANGE:
        value = copysign(inf, value)
    node = make(TABLE["literal"], (), {"value": value}, (), dtype)
    if not is_ordinary(value, dtype):
        node.risky = True
    return node


def leaves_below(x: Node) -> list[Node]:
    """The leaves that a node is computed from. GradcliError where one of them is an argument, whose value is not known."""
    leaf = TABLE["leaf"]
    found = [node for node in cone([x]) if node.op is leaf]
    if any([node.attrs["kind"] in ("argument", "number") for node in found]):
        raise GradcliError("ValueError", "what an argument is computed from is not known here")
    return found


def substituted(roots: Sequence[Node], new: Mapping[Node, Node], stop: Iterable[Node] = ()) -> list[Node]:
    """The roots with other nodes of the same shapes in place of some; inputs of nodes in ``stop`` are not followed.

    An integer may be replaced by a float: what is computed from it then becomes float, as far as gradients pass, since
    derivatives take integers for real numbers.
    """
    return rebuilt(roots, new, _on, stop)


def _on(node: Node, inputs: tuple[Node, ...]) -> Node:
    """A node on other inputs, which may be floats where its own are integers."""
    dtype, passes = node.dtype, not isinstance(node.op.rule, NoDerivative)
    if is_integer(dtype) and passes:
        freed = any([is_integer(x.dtype) and is_float(y.dtype) for x, y in zip(node.inputs, inputs, strict=True)])
        if freed and node.op is not TABLE["cast"]:
            dtype = "float64"
        elif freed and node.op.differentiable_inputs(node):
            return inputs[0]
    return make(node.op, inputs, node.attrs, node.shape, dtype)


def kernel_value(xp: Any, node: Node, inputs: Sequence[Any] = ()) -> Any:
    """The value of a node by its kernel in an array namespace; a number of the program's text as a scalar of its dtype."""
    if node.op.name == "literal":
        return getattr(xp, "bool_" if node.dtype == "bool" else node.dtype)(node.attrs["value"])
    kernel = node.op.kernel
    assert kernel is not None, f"{node.op.name} has no kernel"
    return kernel(xp, *inputs, **node.attrs)


def constant_value(x: Node) -> Number | None:
    """The number that a scalar literal holds, None for any other node. GradcliError for one that stands for any number."""
    name = x.op.name
    if name == "leaf" and x.attrs["kind"] == "number":
        raise GradcliError("ValueError", "which number an argument is, is not known here")
    value: Number | None = x.attrs["value"] if name == "literal" else None
    return value


def as_nodes(inputs: Sequence[Node | Number]) -> list[Node]:
    """Numbers among the inputs of a rule become literals of the nodes' dtype (a float one among integers: the program's)."""
    nodes = [x for x in inputs if isinstance(x, Node)]
    if len(nodes) == len(inputs):
        return nodes
    numeric = [x.dtype for x in nodes if x.dtype != "bool"]
    dtype = promote(numeric) if numeric else derived_float()
    result: list[Node] = []
    for x in inputs:
        if isinstance(x, Node):
            result.append(x)
        elif isinstance(x, bool):
            result.append(literal(x, "bool"))
        elif isinstance(x, float) and not is_float(dtype):
            result.append(literal(x, derived_float()))
        else:
            result.append(literal(x, dtype))
    return result


def broadcasting(inputs: Sequence[Node], attrs: dict[str, Any]) -> tuple[Shape, str]:
    """The shape rule of elementwise operations: broadcast shapes, common dtype."""
    first = inputs[0]
    if len(inputs) == 1:
        return first.shape, first.dtype
    if len(inputs) == 2 and first.shape == inputs[1].shape:
        return first.shape, first.dtype
    return broadcast([x.shape for x in inputs]), first.dtype


def unchanged(inputs: Sequence[Node], attrs: dict[str, Any]) -> tuple[Shape, str]:
    """The shape rule of operations whose result is like their first input."""
    return inputs[0].shape, inputs[0].dtype


def along(inputs: Sequence[Node], attrs: dict[str, Any]) -> tuple[Shape, str]:
    """The same for operations that work along one axis, whose number becomes a non-negative one."""
    attrs["axis"] = normalize_axis(attrs["axis"], inputs[0].rank)
    return unchanged(inputs, attrs)


def indices_along(inputs: Sequence[Node], attrs: dict[str, Any]) -> tuple[Shape, str]:
    """The same where the result holds indices into the axis."""
    return along(inputs, attrs)[0], "int64"


def boolean(inputs: Sequence[Node], attrs: dict[str, Any]) -> tuple[Shape, str]:
    """The shape rule of comparisons and predicates."""
    return broadcasting(inputs, attrs)[0], "bool"

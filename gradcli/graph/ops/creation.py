"""Leaves, literals and arrays made from shapes and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import GradcliError
from gradcli.graph.node import TABLE, Node
from gradcli.graph.operation import Operation, Repeated, SameAs, cast_to, kernel_value, literal, register
from gradcli.graph.ops.shaping import broadcast_to
from gradcli.graph.ops.slicing import without_floats
from gradcli.graph.types import INTEGER_OF, Shape, broadcast, is_float, is_integer, show_shape
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.graph.leading import Led

Inputs = Sequence[Node]
Attrs = dict[str, Any]


def _leaf_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    shape = tuple(attrs["shape"])
    if any(n < 0 for n in shape):
        raise GradcliError("ShapeError", f"{list(shape)} is not a shape: a size cannot be negative")
    return shape, attrs["dtype"]


leaf = register(Operation(
    "leaf", "name:string, shape:shape, dtype:dtype", "A variable or constant of the program.", hidden=True,
    shareable=False, given=True, numbers="any",
))  # fmt: skip
tangent = register(Operation(
    "tangent", "shape:shape, dtype:dtype", "A placeholder inside one derivative rule.", hidden=True, shareable=False,
    infer=_leaf_shape,
))  # fmt: skip


loop = register(Operation(
    "loop", "*steps:operands, body:number, result:number, given:ints", "A result of a loop.", hidden=True, rule=Repeated(),
    accepts="any", infer=_leaf_shape,
))  # fmt: skip


# What plans make of loops; no program has these.
loop_run = Operation(
    "loop_run", "*steps:operands, function:number", "A run of a loop: its results, one after the other.", hidden=True,
    accepts="any", infer=_leaf_shape, kernel=lambda xp, *inputs, function: function(*inputs),
)  # fmt: skip
loop_result = Operation(
    "loop_result", "run:tensor, index:int", "One of the results of a run of a loop.", hidden=True, accepts="any",
    infer=_leaf_shape, kernel=lambda xp, run, index: run[index],
)  # fmt: skip


def make_leaf(name: str, kind: str, shape: Shape, dtype: str, risky: bool) -> Node:
    """A variable or constant; ``risky`` if its value may hold NaN or infinity."""
    return Node(leaf, (), {"name": name, "kind": kind}, shape, dtype, risky)


def in_words(node: Node) -> tuple[Node, list[Node]]:
    """An operation that only derivatives use as a formula of words that people know, and the leaves in place of its inputs."""
    stand_ins = [make_leaf("x", "variable", x.shape, x.dtype, False) for x in node.inputs]
    formula = node.op.plain or node.op.written
    assert formula is not None
    return formula(node.with_inputs(tuple(stand_ins)), *stand_ins), stand_ins


literal_op = register(Operation(
    "literal", "value:number", "A number of the program's text.", hidden=True, given=True, numbers="any",
    kernel=lambda xp, value: value,
))  # fmt: skip
array = register(Operation(
    "array", "values:ints, shape:shape, dtype:dtype", "An array of numbers: a bracket literal or loaded data.", hidden=True,
    infer=_leaf_shape, given=True, shares="sometimes", kernel=lambda xp, values, shape, dtype: xp.reshape(xp.asarray(values, dtype=dtype), shape),
))  # fmt: skip


class Origin(NamedTuple):
    """The file that an array was read from, the key in it, and what was done about missing values: drop, nan or nothing."""

    path: str
    key: str | None
    missing: str | None = None


class Data:
    """An array as an attribute of a node: compared by identity, which is what interning needs."""

    __slots__ = ("array", "origin")

    def __init__(self, array: Any, origin: Origin | None = None) -> None:
        self.array = array.view()
        self.origin = origin
        self.array.flags.writeable = False

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.array if dtype is None else self.array.astype(dtype, copy=bool(copy))


def array_of(node: Node) -> Any:
    """The numbers of an ``array`` node as NumPy's array; what its dtype does not hold is infinite."""
    import numpy as np

    with np.errstate(all="ignore"):
        return kernel_value(np, node)


def data_of(value: Any) -> Data | None:
    """What an ``array`` node holds as Data; None for a bracket literal, whose numbers are a list, and for all else."""
    values = value.attrs["values"] if isinstance(value, Node) and value.op.name == "array" else None
    return values if isinstance(values, Data) else None


def _creation(name: str, spec: str, doc: str, kernel: Any, **entry: Any) -> Operation:
    entry.setdefault("infer", _leaf_shape)
    entry.setdefault("domain", "no derivative")
    return register(Operation(name, spec, doc, family="creation", kernel=kernel, **entry))


_FILLED = "shape:shape, dtype:dtype=None"

zeros = _creation(
    "zeros", _FILLED, "Zeros.", lambda xp, shape, dtype: xp.zeros(shape, dtype=dtype), bounds=(0.0, 0.0), numbers="any", formula="0",
    example="zeros([2, 2])",
)  # fmt: skip
ones = _creation(
    "ones", _FILLED, "Ones.", lambda xp, shape, dtype: xp.ones(shape, dtype=dtype), bounds=(1.0, 1.0), numbers="any", formula="1",
    example="ones([3])",
)  # fmt: skip
full = _creation(
    "full", "shape:shape, value:tensor", "One value everywhere.", None, aliases=("fill",), accepts="any", infer=None,
    expand=lambda value, shape: broadcast_to(value, shape=shape), domain="", formula="value", example="full([2], 1.5)",
)  # fmt: skip


def _eye_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    n = attrs["n"]
    m = n if attrs.get("m") is None else attrs["m"]
    attrs["m"] = None if m == n else m
    if n < 0 or m < 0:
        raise GradcliError("ShapeError", f"eye needs sizes of 0 or more, not {n} and {m}")
    return (n, m), attrs["dtype"]


eye = _creation(
    "eye", "n:int, m:int=None, dtype:dtype=None", "The identity matrix.",
    lambda xp, n, m, dtype: xp.eye(n, m, dtype=dtype), infer=_eye_shape, bounds=(0.0, 1.0), indicator=True, formula="1 on the diagonal, else 0",
    example="eye(2)",
)  # fmt: skip


def _arange_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    start, stop, step = attrs["start"], attrs["stop"], attrs["step"]
    if stop is None:
        start, stop = 0, start
    if step == 0:
        raise GradcliError("ValueError", "arange needs a step other than 0")
    numbers = (start, stop, step)
    if not all(abs(n) < 2**62 for n in numbers):
        raise GradcliError("ValueError", "arange needs finite limits")
    attrs["start"], attrs["stop"] = start, stop
    dtype = attrs["dtype"]
    if all(isinstance(n, int) for n in numbers):
        count = len(range(start, stop, step))
        dtype = INTEGER_OF.get(dtype, dtype) if not attrs.pop("typed", False) else dtype
    else:
        attrs.pop("typed", None)
        steps = (stop - start) / step
        if not abs(steps) < 2**62:
            raise GradcliError("LimitError", f"arange would have {steps:.3g} entries", help="use a larger step")
        count = max(0, -int(-steps // 1))
    attrs["dtype"] = dtype
    return (count,), dtype


arange = _creation(
    "arange", "start:number, stop:number=None, step:number=1, dtype:dtype=None",
    "Numbers from start (default 0) up to but without stop.",
    lambda xp, start, stop, step, dtype: xp.arange(start, stop, step).astype(dtype), infer=_arange_shape,
    aliases=("range",), workspace=1.0, formula="start, start + step, …", example="arange(4)",
)  # fmt: skip


def _linspace_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    if attrs["num"] < 0:
        raise GradcliError("ValueError", f"linspace needs 0 or more numbers, not {attrs['num']}")
    return (attrs["num"],), attrs["dtype"]


linspace = _creation(
    "linspace", "start:number, stop:number, num:int, dtype:dtype=None", "Evenly spaced numbers, both ends included.",
    lambda xp, start, stop, num, dtype: xp.linspace(start, stop, num).astype(dtype), infer=_linspace_shape,
    workspace=1.0, formula="start, …, stop", example="linspace(0, 1, 5)",
)  # fmt: skip


def _alike(name: str, doc: str, **entry: Any) -> Operation:
    return _creation(
        name, "x", doc, lambda xp, x: getattr(xp, name)(x), accepts="any",
        infer=lambda inputs, attrs: (inputs[0].shape, inputs[0].dtype), formula=name.split("_")[0].rstrip("s"),
        example=f"{name}([1.0, 2.0])", flow="entries", numbers="any", **entry,
    )  # fmt: skip


zeros_like = _alike("zeros_like", "Zeros of x's shape and dtype; no gradient passes.", bounds=(0.0, 0.0), zero_where=())
ones_like = _alike("ones_like", "Ones of x's shape and dtype; no gradient passes.", bounds=(1.0, 1.0))


def _random_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    if not is_float(attrs["dtype"]):
        raise GradcliError("TypeError", f"random numbers are floats, not {attrs['dtype']}")
    if not inputs:
        if not attrs.get("stddev", 0) >= 0:
            _impossible_normal(attrs["stddev"])
        if attrs.get("stddev") == 0:
            attrs["stddev"] = 0  # NumPy refuses -0.0
        low, high = attrs.get("minval", 0), attrs.get("maxval", 1)
        if not (isfinite(low) and isfinite(high) and low <= high):
            _impossible_uniform(low, high)
    shape, dtype = _leaf_shape(inputs, attrs)
    for i, x in enumerate(inputs):
        if broadcast([x.shape, shape], "parameter and result") != shape:
            raise GradcliError(
                "ShapeError",
                f"a parameter of shape {show_shape(x.shape)} does not broadcast to {show_shape(shape)}",
                operands=[(i, f"shape {show_shape(x.shape)}")],
            )
    return shape, dtype


def _drawn(name: str, first: str, second: str) -> Any:
    """Parameters that are values of the program become inputs, so that gradients pass to them; numbers are attributes.

    A number beside a value is both: an input in the dtype of the result, and an attribute with all of its digits.
    """

    def expand(*inputs: Node, **attrs: Any) -> Node | None:
        if inputs or not any([isinstance(attrs[key], Node) for key in (first, second)]):
            return None
        dtype = attrs["dtype"]
        given = {key: attrs[key] for key in (first, second)}
        nodes = [cast_to(x, dtype) if isinstance(x, Node) else literal(x, dtype) for x in given.values()]
        numbers = {key: None if isinstance(x, Node) else x for key, x in given.items()}
        return TABLE[name](*nodes, **{**attrs, **numbers})

    return expand


def _either(given: Sequence[Any], first: Any, second: Any) -> tuple[Any, Any]:
    """The two parameters of a drawing: the attributes, and values for those that are None."""
    return (given[0] if first is None else first), (given[1] if second is None else second)


def _drawn_led(led: Led) -> Node:
    """The same numbers along the leading axis, moved by the parameters: ``alike`` counts such axes of the shape."""
    attrs = led.attrs()
    attrs["alike"] = attrs.get("alike", 0) + 1
    return led.made([led.aligned(i) for i in range(len(led.inputs))], attrs)


def _normal(xp: Any, *given: Any, shape: Shape, mean: Any, stddev: Any, seed: Any, dtype: str, alike: int = 0) -> Any:
    mean, stddev = _either(given, mean, stddev)
    if xp.any(xp.less(stddev, 0)):
        _impossible_normal(float(xp.min(stddev)))
    stddev = stddev + 0.0  # NumPy refuses -0.0
    generator = xp.random.RandomState(seed)
    if alike:
        drawn = xp.broadcast_to(mean + stddev * generator.normal(0, 1, shape[alike:]), shape)
    else:
        drawn = generator.normal(mean, stddev, shape)
    return xp.asarray(drawn, dtype=dtype)


def _impossible_normal(stddev: float) -> None:
    raise GradcliError("ValueError", f"a standard deviation cannot be {stddev}", help="use one of 0 or more")


def _uniform(
    xp: Any, *given: Any, shape: Shape, minval: Any, maxval: Any, seed: Any, dtype: str, alike: int = 0
) -> Any:
    low, high = _either(given, minval, maxval)
    bad = xp.ravel(~(xp.isfinite(low) & xp.isfinite(high) & xp.less_equal(low, high)))
    if xp.any(bad):
        at = xp.argmax(bad)
        _impossible_uniform(*(float(xp.ravel(x)[at]) for x in xp.broadcast_arrays(low, high)))
    generator = xp.random.RandomState(seed)
    if alike:
        drawn = xp.broadcast_to(low + (high - low) * generator.uniform(0, 1, shape[alike:]), shape)
    else:
        drawn = generator.uniform(low, high, shape)
    return xp.asarray(drawn, dtype=dtype)


def uniform_kernel(xp: Any, low: Any, high: Any, seed: Any, shape: Shape) -> Any:
    """Numbers between bounds that are arrays; a ValueError where the bounds are not finite or not in order."""
    if not xp.all(xp.isfinite(low) & xp.isfinite(high) & xp.less_equal(low, high)):
        raise ValueError("there is no uniform distribution between some of these bounds")
    return xp.random.RandomState(seed).uniform(low, high, shape)


def _impossible_uniform(low: float, high: float) -> None:
    raise GradcliError("ValueError", f"there is no uniform distribution from {low} to {high}")


def _standard(y: Node) -> Node:
    """The numbers that a drawing moves by its parameters."""
    attrs = {key: y.attrs[key] for key in ("shape", "seed", "dtype", "alike") if key in y.attrs}
    return y.op(**attrs)


def _moved_normal(y: Node, mean: Node, stddev: Node) -> Node:
    return mean + stddev * _standard(y)


def _moved_uniform(y: Node, low: Node, high: Node) -> Node:
    return low + (high - low) * _standard(y)


random_normal = _creation(
    "random_normal", "shape:shape, mean:parameter=0, stddev:parameter=1, seed:seed=None, dtype:dtype=None",
    "Normally distributed numbers, the same at every run; gradients pass to mean and stddev.", _normal, infer=_random_shape,
    shareable=False, accepts="any", leading=_drawn_led, expand=_drawn("random_normal", "mean", "stddev"), rule=SameAs(_moved_normal), degree="linear",
    given=True, formula="N(mean, stddev^2)", domain="stddev >= 0", example="random_normal([2], seed=1)",
)  # fmt: skip
random_uniform = _creation(
    "random_uniform", "shape:shape, minval:parameter=0, maxval:parameter=1, seed:seed=None, dtype:dtype=None",
    "Uniformly distributed numbers, the same at every run; gradients pass to minval and maxval.", _uniform, infer=_random_shape,
    shareable=False, accepts="any", leading=_drawn_led, expand=_drawn("random_uniform", "minval", "maxval"), rule=SameAs(_moved_uniform), degree="linear",
    given=True, formula="U(minval, maxval)", domain="minval <= maxval", example="random_uniform([2], seed=1)",
)  # fmt: skip


def _one_hot_shape(inputs: Inputs, attrs: Attrs) -> tuple[Shape, str]:
    (indices,) = inputs
    if not is_integer(indices.dtype):
        raise GradcliError(
            "TypeError", f"one_hot needs integers, not {indices.dtype}", operands=[(0, f"dtype {indices.dtype}")]
        )
    if attrs["depth"] < 0:
        raise GradcliError("ValueError", f"one_hot needs a depth of 0 or more, not {attrs['depth']}")
    return (*indices.shape, attrs["depth"]), attrs["dtype"]


one_hot = _creation(
    "one_hot", "indices:indices, depth:int, dtype:dtype=None", "1 at the index, 0 elsewhere; rows of zeros out of range.",
    lambda xp, i, depth, dtype: (xp.expand_dims(i, -1) == xp.arange(depth)).astype(dtype), accepts="any", leading="last",
    adapt=lambda nodes: [without_floats(nodes[0])], infer=_one_hot_shape, workspace=0.2, bounds=(0.0, 1.0), indicator=True, formula="y[i, k] = (x[i] == k)", example="one_hot([0, 2], 3)",
)  # fmt: skip

# Words of the language that the table documents and the language layer carries out, before anything is evaluated.


def _special(name: str, spec: str, doc: str, **entry: Any) -> Operation:
    return register(Operation(name, spec, doc, family="language", **entry))


SPECIAL = {
    op.name
    for op in (
        _special("load", "path:string, key:string=None, *, missing:string=None", "Data from a .npy, .npz, .csv or .json file below the "
                 "program's folder; the key chooses columns, \"age,sex=female,prog[]\", or an array; missing=\"drop\" or \"nan\".",
                 formula="the file's array", domain="no derivative"),
        _special("shape", "x", "The sizes of x, as integer constants.", formula="[n, m, …]", domain="no derivative",
                 example="shape([[1, 2, 3]])"),
        _special("rank", "x", "The number of axes of x.", formula="the number of axes", domain="no derivative",
                 example="rank([[1, 2, 3]])"),
        _special("size", "x", "The number of entries of x.", formula="the number of entries", domain="no derivative",
                 example="size([[1, 2, 3]])"),
        _special("iterate", "f:function, x0, n:int, *, until:function=None", "f applied n times, f(f(…f(x0))), or until a condition of "
                 "the states holds; several states are a list.", formula="f(f(…f(x0)))",
                 domain="as f has it; one node where the states keep their shapes"),
        _special("scan", "f:function, elems, initializer, *, reverse:flag=false", "The states after each step of f(state, row) over the rows of "
                 "an array, stacked.", formula="[f(x0, e1), f(f(x0, e1), e2), …]", domain="as f has it"),
        _special("map", "f:function, arrays:operands", "f of each row, stacked.", formula="[f(a1), f(a2), …]", domain="as f has it",
                 aliases=("vmap", "vectorized_map")),
        _special("odeint", "f:function, y0, t, substeps:int=1", "y at each of the times t of y' = f(y, t), by the classical Runge-Kutta "
                 "method.", formula="y(t)", domain="as f has it"),
        _special("root", "f:function, x0, *, tol:number=None, steps:int=50", "x near x0 where f(x) = 0, by Newton's method with "
                 "the exact Jacobian; its derivatives are those of the implicit function theorem, and x0 has none.",
                 formula="x with f(x) = 0", domain="where the Jacobian has an inverse"),
        _special("minimize", "f:function, x0, *, tol:number=None, steps:int=200", "x near x0 where f(x) is a minimum, by Newton's "
                 "method, with derivatives as root has them.", formula="x with the least f(x)", domain="where the Hessian has an inverse"),
        _special("gradients", "ys:tensors, xs:names, grad_ys:tensors=None, stop_gradients:names=None, "
                 "unconnected_gradients:string=\"none\"", "The derivatives of the sum of ys: an expression like any "
                 "other, or None.", formula="dy/dx", domain="as the ys"),
        _special("jacobian", "y, x:names", "All derivatives of entries of y by entries of x, of shape y.shape + x.shape; "
                 "a list of xs is unpacked.", formula="dy[i]/dx[j]", domain="as y"),
        _special("hessian", "y, x:names", "The second derivatives of a scalar; a list of n xs gives n^2 blocks, row by "
                 "row.", formula="d2y/dx[i]dx[j]", domain="as y"),
        _special("jvp", "y, x:names, v", "The derivative of y along the direction v of x (forward mode).",
                 formula="jacobian(y, x) v", domain="as y"),
        _special("hvp", "y, x:names, v", "The Hessian of a scalar y times v, without the Hessian.",
                 formula="hessian(y, x) v", domain="as y"),
        _special("taylor", "y, x:names, n:int, coefficients:flag=false", "The derivatives of orders 0 to n along ones, stacked; or "
                 "the coefficients of the Taylor polynomial, which are those over k!.", formula="[y, y', y'', …]", domain="as y"),
    )
}  # fmt: skip

LOOPS = {"iterate", "scan", "map", "odeint", "root", "minimize"}
"""Those of them that apply a function again and again."""

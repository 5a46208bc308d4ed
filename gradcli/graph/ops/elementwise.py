"""Arithmetic and elementwise functions of real numbers: value, domain and one line of calculus each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import inf
from typing import Any

from gradcli.graph.node import TABLE, Node, derived_float
from gradcli.graph.operation import (
    Elementwise,
    Linear,
    Operation,
    Parity,
    Product,
    SameAs,
    broadcasting,
    cast_to,
    constant_value,
    leaves_below,
    register,
    unchanged,
)
from gradcli.graph.ops.corners import Corner, at_origin, at_step, at_whole, at_zero
from gradcli.graph.ops.kernels import (
    Special,
    Ufunc,
    Wrapping,
    added,
    divide_no_nan_kernel,
    elu_kernel,
    exp2_slope_kernel,
    has_scipy,
    hypot_slope_kernel,
    integer_safe,
    leaky_relu_kernel,
    mod_kernel,
    multiplied,
    multiply_no_nan_kernel,
    power_kernel,
    power_slope_kernel,
    products_kernel,
    recip_kernel,
    sigmoid_kernel,
    sigmoid_slope_kernel,
    softplus_kernel,
    tanh_slope_kernel,
    unbounded,
    xlogy_kernel,
)
from gradcli.graph.ops.selection import (
    greater,
    less,
    link,
    logical_or,
    maximum,
    minimum,
    not_equal,
    sign,
    unless_nan,
    where,
    zero,
)
from gradcli.graph.types import is_float


def _elementwise(name: str, spec: str, doc: str, *partials: Any, **entry: Any) -> Operation:
    entry.setdefault("infer", broadcasting)
    entry.setdefault("rule", Elementwise(tuple(partials)))
    return register(Operation(name, spec, doc, family="elementwise", **entry))


def _function(name: str, doc: str, partial: Any, absorbs: bool = False, **entry: Any) -> Operation:
    """A smooth function of one real variable: integers become floats."""
    entry.setdefault("kernel", Ufunc(name))
    rule = Elementwise((partial,), (0,) if absorbs else ())
    return _elementwise(name, "x", doc, accepts="float", infer=unchanged, rule=rule, **entry)


def _slope(name: str, spec: str, doc: str, *partials: Any, **entry: Any) -> Operation:
    """A slope that derivatives use where the formula, which ``written`` gives, would lose digits.

    Most have two inputs: the result y of a function, in which the slope is differentiated, and the x that y was computed
    from, which has digits that y lost.
    """
    entry.setdefault("infer", unchanged)
    return _elementwise(name, spec, doc, *partials, accepts="float", hidden=True, **entry)


add = _elementwise(
    "add", "a, b", "Sum.", symbol="+", kernel=Ufunc("add", added), rule=Linear(lambda i, g, y: g),
    closed=True, zero_where=(0, 1), entries="added", numbers="any", cheap=True, formula="a + b", example="add(1.0, [2.0, 3.0])",
)  # fmt: skip
subtract = _elementwise(
    "subtract", "a, b", "Difference.", symbol="-", aliases=("sub",), kernel=Ufunc("subtract", added),
    rule=Linear(lambda i, g, y: -g if i else g), zero_where=(0, 1), entries="added", numbers="any", cheap=True, formula="a - b", example="subtract(5.0, 3.0)",
)  # fmt: skip
neg = _elementwise(
    "neg", "x", "Negative.", symbol="-", aliases=("negative",), kernel=Ufunc("negative", added),
    rule=Linear(lambda i, g, y: -g), zero_where=(0,), entries="negated", numbers="any", cheap=True, formula="-x", example="neg(2.0)",
)  # fmt: skip
multiply = _elementwise(
    "multiply", "a, b", "Product, entry by entry.", symbol="*", aliases=("mul",), kernel=Ufunc("multiply", multiplied),
    rule=Product(), closed=True, numbers="any", cheap=True, formula="a * b", example="multiply(2.0, [1.0, 3.0])",
)  # fmt: skip

multiply_no_nan = _elementwise(
    "multiply_no_nan", "a, b", "Product, and 0 where b is 0 even if a is infinite or NaN.", accepts="float",
    rule=Product(), plain=lambda _, a, b: a * b, is_plain=lambda xp, a, b: xp.isfinite(a), kernel=multiply_no_nan_kernel, workspace=0.3, numbers="float", formula="where(b == 0, 0, a * b)",
    example="multiply_no_nan(inf, 0.0)",
)  # fmt: skip
products = _elementwise(
    "products", "*factors:operands", "a1*b1 + a2*b2 + …, in one operation.", kernel=Wrapping(products_kernel), rule=Product(),
    hidden=True, workspace=1.0, numbers="any", formula="a1*b1 + a2*b2 + …",
)  # fmt: skip


def _over(a: Node, b: Node) -> Node:
    return -a * recip(b) * recip(b)


recip = _elementwise(
    "recip", "x, positive:flag=false", "1/x; with `positive`, NaN for x < 0 (the slope of a logarithm).", aliases=("reciprocal",),
    rule=Elementwise((lambda y, x: -y * y,), absorbs=(0,), factors=True), accepts="float", kernel=recip_kernel, singular=True, infer=unchanged,
    workspace=1.3, closed=True, numbers="float", formula="1 / x", domain="x != 0", example="recip(-4.0)",
)  # fmt: skip
divide = _elementwise(
    "divide", "a, b", "True division; integers become floats.",
    rule=Elementwise((lambda y, a, b: recip(b), lambda y, a, b: _over(a, b)), absorbs=(1,), factors=True),
    symbol="/", aliases=("div", "truediv"), accepts="float", kernel=Ufunc("true_divide"), singular=True,
    degree="quotient", closed=True, zero_where=(0,), numbers="float", formula="a / b", domain="b != 0", example="divide(1.0, 4.0)",
)  # fmt: skip
recip_no_nan = _elementwise(
    "recip_no_nan", "x", "1/x, and 0 at x = 0.", rule=Elementwise((lambda y, x: -y * y,), factors=True), accepts="float", hidden=True, infer=unchanged,
    kernel=lambda xp, x: divide_no_nan_kernel(xp, 1, x),
    workspace=2.3, zero_where=(0,), numbers="float", formula="where(x == 0, 0, 1 / x)", singular=True,
)  # fmt: skip
divide_no_nan = _elementwise(
    "divide_no_nan", "a, b", "Division that gives 0 where b is 0.",
    rule=Elementwise((lambda y, a, b: recip_no_nan(b), lambda y, a, b: -a * recip_no_nan(b) * recip_no_nan(b)), factors=True),
    aliases=("div_no_nan",), accepts="float", degree="quotient", singular=True,
    kernel=divide_no_nan_kernel,
    workspace=2.3, zero_where=(0,), numbers="float", corner=Corner("at a divisor of 0", lambda xp, node, x, y: x[1] == 0, "derivative taken as 0, infinite beside it"), formula="where(b == 0, 0, a / b)", example="divide_no_nan(1.0, 0.0)",
)  # fmt: skip


def _pow_base(y: Node, a: Node, p: Node) -> Node:
    """p·a^(p−1), exactly 0 for ever once the exponent has reached 0; where it moves on from there, only near a = 0."""
    exponent = constant_value(p)
    if exponent is not None:
        if exponent == 0:
            return zero(a)
        # x^1 has the slope 1, which stays connected as TensorFlow's x^0 does.
        return zero(a) + 1 if exponent == 1 else exponent * power(a, exponent - 1)
    taken = not_equal(p, 0)
    leaves = leaves_below(p)
    if is_float(a.dtype):
        lower = power(a, p - 1)
        if any([is_float(x.dtype) for x in leaves]):
            taken = logical_or(taken, greater(absolute(a), 2.0**-256 if a.dtype == "float64" else 2.0**-32))
    elif any(x.attrs["kind"] == "variable" for x in leaves):
        lower = power(cast_to(a, derived_float()), p - 1)
    else:
        # The exponent that is not selected would be -1, which no integer can have.
        lower = power(a, maximum(p - 1, 0))
    return where(taken, p * lower, zero(a))


power_slope = _slope(
    "power_slope", "y, a, p", "y*log(a) for y = a^p, 0 for a <= 0; finite also where y has overflowed.",
    lambda _, y, a, p: where(greater(a, 0), log(a), 0.0),
    lambda _, y, a, p: y * where(greater(a, 0), recip(a, positive=True), 0.0),
    None,
    infer=broadcasting, kernel=power_slope_kernel, degree="quotient", singular=True, workspace=3.0, numbers="float", formula="where(a > 0, y * log(a), 0)",
    written=lambda _, y, a, p: y * (log(a) if (constant_value(a) or 0) > 0 else where(greater(a, 0), log(a), 0.0)),
)  # fmt: skip


def _pow_singular(inputs: Sequence[Node]) -> bool:
    """A polynomial is finite at finite x."""
    exponent = constant_value(inputs[1])
    return exponent is None or not (exponent >= 0 and float(exponent).is_integer())


power = _elementwise(
    "pow", "a, b", "Power; 0^0 is 1. An integer to a negative literal power is a float.",
    _pow_base, lambda y, a, p: power_slope(y, a, p),
    symbol="^", aliases=("power",), kernel=Wrapping(power_kernel), singular=_pow_singular, degree="power", numbers="any", corner=Corner("at a base of 0", lambda xp, node, x, y: (x[0] == 0) & ((x[1] != xp.round(x[1])) | (x[1] <= 0)), "derivative that of the formula, which may be infinite"), formula="a ^ b",
    domain="a > 0, or an integer b", example="pow(2.0, 3)",
)  # fmt: skip

square = _elementwise(
    "square", "x", "x times x.", lambda y, x: 2 * x, kernel=Ufunc("square", lambda m, n: m[0] * m[0]), degree="square",
    bounds=(0.0, inf), zero_where=(0,), numbers="any", cheap=True, formula="x^2", example="square(3.0)",
)  # fmt: skip
absolute = _elementwise(
    "abs", "x", "Absolute value; slope 0 at 0.", lambda y, x: sign(x), aliases=("absolute",), kernel=Ufunc("abs", added),
    degree="abs", squared=lambda y, x: x * x, parity="even", bounds=(0.0, inf), zero_where=(0,), piecewise=True, numbers="any", corner=at_zero("derivative taken as 0, one-sided -1 and 1"), cheap=True, formula="|x|", example="abs(-2.0)",
)  # fmt: skip
sqrt = _function(
    "sqrt", "Square root.", lambda y, x: 0.5 * recip(y), absorbs=True, singular=True, domain="x >= 0 (slope infinite at 0)",
    bounds=(-0.0, inf), closed=True, zero_where=(0,), numbers="float", corner=at_zero("derivative infinite, and none below"), formula="sqrt(x)", example="sqrt(2.0)",
)  # fmt: skip
rsqrt = _function(
    "rsqrt", "1 / sqrt(x).", lambda y, x: -0.5 * y * y * y, absorbs=True, kernel=lambda xp, x: 1 / xp.sqrt(x), singular=True,
    domain="x > 0", workspace=1.0, numbers="float", corner=at_zero("value and derivative infinite, and none below"), formula="1 / sqrt(x)", example="rsqrt(4.0)",
)  # fmt: skip
cbrt = _function(
    "cbrt", "Cube root, of negative numbers too.", lambda y, x: recip(3 * y * y), singular=True,
    domain="all real numbers (slope infinite at 0)", zero_where=(0,), parity="odd", numbers="float", corner=at_zero("derivative infinite"), formula="cbrt(x)", example="cbrt(-8.0)",
)  # fmt: skip
exp = _function(
    "exp",
    "e to the power x.",
    lambda y, x: y,
    singular=True,
    bounds=(0.0, inf),
    overflows=(88, 709),
    numbers="float",
    formula="exp(x)",
    example="exp(1.0)",
)
expm1 = _function(
    "expm1",
    "exp(x) - 1, exact near 0.",
    lambda y, x: exp(x),
    singular=True,
    bounds=(-1.0, inf),
    zero_where=(0,),
    overflows=(88, 709),
    numbers="float",
    formula="expm1(x)",
    example="expm1(1e-9)",
)
_exp2_slope = _slope(
    "exp2_slope", "y, x", "log(2) * 2^x, finite also where y = 2^x has just overflowed.",
    lambda _, y, x: math.log(2), None,
    kernel=exp2_slope_kernel, degree="linear", singular=True, workspace=2.0, bounds=(0.0, inf), numbers="float", formula="log(2) * y", written=lambda _, y, x: math.log(2) * y,
)  # fmt: skip
exp2 = _function(
    "exp2",
    "2 to the power x.",
    lambda y, x: _exp2_slope(y, x),
    singular=True,
    bounds=(0.0, inf),
    overflows=(127, 1023),
    numbers="float",
    formula="exp2(x)",
    example="exp2(3.0)",
)
log = _function(
    "log", "Natural logarithm; NaN, and a NaN gradient, for x < 0.", lambda y, x: recip(x, positive=True),
    aliases=("ln",), singular=True, domain="x > 0", numbers="float", formula="log(x)", example="log(2.0)",
)  # fmt: skip
log1p = _function(
    "log1p", "log(1 + x), exact near 0.", lambda y, x: recip(1 + x, positive=True), singular=True, domain="x > -1",
    zero_where=(0,), numbers="float", formula="log1p(x)", example="log1p(1e-9)",
)  # fmt: skip
log2 = _function(
    "log2", "Logarithm to base 2.", lambda y, x: 1 / math.log(2) * recip(x, positive=True), singular=True,
    domain="x > 0", numbers="float", formula="log2(x)", example="log2(8.0)",
)  # fmt: skip
log10 = _function(
    "log10", "Logarithm to base 10.", lambda y, x: 1 / math.log(10) * recip(x, positive=True), singular=True,
    domain="x > 0", numbers="float", formula="log10(x)", example="log10(1000.0)",
)  # fmt: skip

sin = _function(
    "sin",
    "Sine of an angle in radians.",
    lambda y, x: cos(x),
    bounds=(-1.0, 1.0),
    zero_where=(0,),
    parity="odd",
    numbers="float",
    formula="sin(x)",
    example="sin(pi/6)",
)
cos = _function(
    "cos",
    "Cosine of an angle in radians.",
    lambda y, x: -sin(x),
    parity="even",
    bounds=(-1.0, 1.0),
    numbers="float",
    formula="cos(x)",
    example="cos(pi/3)",
)
tan = _function(
    "tan", "Tangent of an angle in radians.", lambda y, x: 1 + square(tan(x)), singular=True,
    domain="x != pi/2 + k*pi", zero_where=(0,), parity="odd", numbers="float", formula="tan(x)", example="tan(pi/4)",
)  # fmt: skip
_one_minus_square = _slope(
    "one_minus_square", "x", "1 - x^2, exact near 1 and -1, with the slope -2*x.", lambda _, x: -2 * x, degree="square",
    kernel=lambda xp, x: (1 - x) * (1 + x), workspace=1.0, bounds=(-inf, 1.0), numbers="float", formula="1 - x^2", written=lambda _, x: (1 - x) * (1 + x),
)  # fmt: skip
asin = _function(
    "asin", "Inverse sine.", lambda y, x: recip(sqrt(_one_minus_square(x))), aliases=("arcsin",), singular=True,
    kernel=Ufunc("arcsin"), domain="-1 <= x <= 1", zero_where=(0,), parity="odd", numbers="float", formula="asin(x)", example="asin(0.5)",
)  # fmt: skip
acos = _function(
    "acos", "Inverse cosine.", lambda y, x: -recip(sqrt(_one_minus_square(x))), aliases=("arccos",), singular=True,
    kernel=Ufunc("arccos"), domain="-1 <= x <= 1", bounds=(0.0, inf), numbers="float", formula="acos(x)", example="acos(0.5)",
)  # fmt: skip
_atan_slope = _slope(
    "atan_slope", "x", "1 / (1 + x^2), with slopes that do not vanish before their time.",
    lambda s, x: -2 * (x * s) * s,
    kernel=lambda xp, x: 1 / (1 + x * x), workspace=1.0, bounds=(0.0, 1.0), numbers="float", formula="1 / (1 + x^2)", written=lambda _, x: 1 / (1 + x * x),
)  # fmt: skip
atan = _function(
    "atan", "Inverse tangent.", lambda y, x: _atan_slope(x), aliases=("arctan",), kernel=Ufunc("arctan"),
    zero_where=(0,), parity="odd", numbers="float", formula="atan(x)", example="atan(1.0)",
)  # fmt: skip
_hypot_slope = _slope(
    "hypot_slope", "a, b", "a / hypot(a, b), and 0 at the origin: the cosine of the angle of the point (a, b).",
    lambda _, a, b: square(_hypot_slope(b, a)) * recip_no_nan(hypot(a, b)),
    lambda c, a, b: -c * _hypot_slope(b, a) * recip_no_nan(hypot(a, b)),
    infer=broadcasting, kernel=hypot_slope_kernel, singular=True, workspace=8.0, zero_where=(0,), numbers="float", formula="a / hypot(a, b)",
    written=lambda _, a, b: divide_no_nan(a, hypot(a, b)),
)  # fmt: skip


def _keeps_squares(xp: Any, a: Any, b: Any) -> Any:
    """Whether a^2 + b^2 neither overflows nor loses digits."""
    square = a * a + b * b
    return ((square > xp.finfo(square.dtype).tiny * 1e20) & (square < math.inf)) | xp.isnan(square)


_atan2_slope = _slope(
    "atan2_slope", "a, b", "a / (a^2 + b^2), without squares that overflow or vanish.",
    lambda s, a, b: (_atan2_slope(b, a) - s) * (_atan2_slope(b, a) + s), lambda s, a, b: -2 * s * _atan2_slope(b, a),
    infer=broadcasting, kernel=lambda xp, a, b: xp.true_divide(hypot_slope_kernel(xp, a, b), xp.hypot(a, b)),
    singular=True, workspace=8.0, numbers="float", formula="a / (a^2 + b^2)",
    written=lambda _, a, b: a / hypot(a, b) / hypot(a, b), plain=lambda _, a, b: a / (a * a + b * b), is_plain=_keeps_squares,
)  # fmt: skip
atan2 = _elementwise(
    "atan2", "y, x", "The angle of the point (x, y), from -pi to pi.",
    lambda _, a, b: _atan2_slope(b, a), lambda _, a, b: -_atan2_slope(a, b),
    aliases=("arctan2",), accepts="float", kernel=Ufunc("arctan2"), singular=True, domain="(x, y) != (0, 0)",
    numbers="float", corner=Corner("at the negative x axis", lambda xp, node, x, y: (x[0] == 0) & (x[1] <= 0), "derivative that of either side, the value jumps from -pi to pi"), formula="atan2(y, x)", example="atan2(1.0, -1.0)",
)  # fmt: skip
sinh = _function(
    "sinh",
    "Hyperbolic sine.",
    lambda y, x: cosh(x),
    singular=True,
    zero_where=(0,),
    parity="odd",
    overflows=(88, 709),
    numbers="float",
    formula="sinh(x)",
    example="sinh(1.0)",
)
cosh = _function(
    "cosh",
    "Hyperbolic cosine.",
    lambda y, x: sinh(x),
    singular=True,
    parity="even",
    bounds=(1.0, inf),
    overflows=(88, 709),
    numbers="float",
    formula="cosh(x)",
    example="cosh(1.0)",
)
_tanh_slope = _slope(
    "tanh_slope", "y, x", "1 - y^2 for y = tanh(x), exact also where y is near 1.", kernel=tanh_slope_kernel,
    rule=SameAs(lambda _, y, x: 1 - y * y, inputs=(0,)), degree="square", workspace=2.0, bounds=(0.0, 1.0), numbers="float", formula="1 - y^2",
    written=lambda _, y, x: 1 / square(cosh(x)), plain=lambda _, y, x: 1 - y * y,
    is_plain=lambda xp, y, x: xp.abs(y) < 0.99,
)  # fmt: skip
tanh = _function(
    "tanh",
    "Hyperbolic tangent.",
    lambda y, x: _tanh_slope(y, x),
    bounds=(-1.0, 1.0),
    zero_where=(0,),
    parity="odd",
    numbers="float",
    formula="tanh(x)",
    example="tanh(0.5)",
)
_asinh_slope = _slope(
    "asinh_slope", "y, x", "1 / cosh(y) for y = asinh(x).", lambda s, y, x: -x * s * s, None,
    kernel=lambda xp, y, x: 1 / xp.hypot(x.dtype.type(1), x), workspace=1.0, bounds=(0.0, 1.0), numbers="float", formula="1 / cosh(y)",
    written=lambda _, y, x: 1 / hypot(1.0, x), plain=lambda _, y, x: 1 / cosh(y), is_plain=lambda xp, y, x: xp.abs(y) < 4,
)  # fmt: skip
asinh = _function(
    "asinh", "Inverse hyperbolic sine.", lambda y, x: _asinh_slope(y, x), aliases=("arcsinh",), kernel=Ufunc("arcsinh"),
    zero_where=(0,), parity="odd", numbers="float", formula="asinh(x)", example="asinh(1.0)",
)  # fmt: skip
_acosh_slope = _slope(
    "acosh_slope", "y, x", "1 / sinh(y) for y = acosh(x).", lambda s, y, x: -x * s * s, None,
    kernel=lambda xp, y, x: xp.true_divide(x.dtype.type(1), xp.sqrt(x - 1) * xp.sqrt(x + 1)), singular=True, workspace=2.0, bounds=(0.0, inf), numbers="float", formula="1 / sinh(y)",
    written=lambda _, y, x: 1 / (sqrt(x - 1) * sqrt(x + 1)), plain=lambda _, y, x: 1 / sinh(y),
    is_plain=lambda xp, y, x: xp.abs(y) < 4,
)  # fmt: skip
acosh = _function(
    "acosh", "Inverse hyperbolic cosine.", lambda y, x: _acosh_slope(y, x), aliases=("arccosh",), singular=True,
    kernel=Ufunc("arccosh"), domain="x >= 1", bounds=(0.0, inf), numbers="float", formula="acosh(x)", example="acosh(2.0)",
)  # fmt: skip
atanh = _function(
    "atanh", "Inverse hyperbolic tangent.", lambda y, x: recip(_one_minus_square(x), positive=True), singular=True,
    aliases=("arctanh",), kernel=Ufunc("arctanh"), domain="-1 < x < 1", zero_where=(0,), parity="odd", numbers="float", formula="atanh(x)", example="atanh(0.5)",
)  # fmt: skip
hypot = _elementwise(
    "hypot", "a, b", "sqrt(a^2 + b^2) without overflow; slope 0 at the origin.",
    lambda y, a, b: _hypot_slope(a, b), lambda y, a, b: _hypot_slope(b, a),
    accepts="float", kernel=Ufunc("hypot"), singular=True, squared=lambda y, a, b: a * a + b * b,
    bounds=(0.0, inf), zero_where=(0, 1), numbers="float", corner=at_origin(), formula="sqrt(a^2 + b^2)", example="hypot(3.0, 4.0)",
)  # fmt: skip
erf = _function(
    "erf", "The error function.", lambda y, x: 2 / math.sqrt(math.pi) * exp(-x * x), kernel=Special("erf", math.erf),
    workspace=lambda node: 0.0 if has_scipy() else 10.0, bounds=(-1.0, 1.0), zero_where=(0,), parity="odd", numbers="float", formula="2/sqrt(pi) * integral of exp(-t^2) for t from 0 to x", example="erf(0.5)",
)  # fmt: skip
_sigmoid_turn = _slope(
    "sigmoid_turn", "y, x", "1 - 2*y for y = sigmoid(x), exact also where y is near 1/2.", lambda _, y, x: -2, None,
    kernel=lambda xp, y, x: -xp.tanh(x / 2), degree="linear", workspace=1.0, bounds=(-1.0, 1.0), numbers="float", formula="1 - 2 * y",
    written=lambda _, y, x: -tanh(0.5 * x), plain=lambda _, y, x: 1 - 2 * y, is_plain=lambda xp, y, x: xp.abs(y - 0.5) > 0.05,
)  # fmt: skip
sigmoid_slope = _slope(
    "sigmoid_slope", "y, x", "y*(1 - y) for y = sigmoid(x), exact also where y is near 1.",
    lambda _, y, x: _sigmoid_turn(y, x), None,
    kernel=sigmoid_slope_kernel, degree="square", workspace=2.0, bounds=(0.0, 1.0), numbers="float", formula="y * (1 - y)", written=lambda _, y, x: y * sigmoid(-x),
    plain=lambda _, y, x: y * (1 - y), is_plain=lambda xp, y, x: y < 0.99,
)  # fmt: skip
sigmoid = _function(
    "sigmoid", "The logistic function, stable for large |x|.", lambda y, x: sigmoid_slope(y, x), aliases=("expit",), kernel=sigmoid_kernel,
    workspace=2.2, bounds=(0.0, 1.0), numbers="float", formula="1 / (1 + exp(-x))", example="sigmoid(-1000.0)",
)  # fmt: skip
softplus = _function(
    "softplus", "A smooth relu, stable for large |x|.", lambda y, x: sigmoid(x), kernel=softplus_kernel,
    workspace=2.0, bounds=(0.0, inf), numbers="float", formula="log(1 + exp(x))", example="softplus(1000.0)",
)  # fmt: skip
relu = _elementwise(
    "relu", "x", "x where it is positive, else 0; slope 0 at 0.", infer=unchanged,
    rule=SameAs(lambda y, x: unless_nan(x, where(greater(x, 0), x, 0), math.nan * x), link=True), kernel=lambda xp, x: xp.maximum(x, x.dtype.type(0)),
    bounds=(-0.0, inf), zero_where=(0,), degree="ramp", piecewise=True, numbers="any", corner=at_zero("derivative taken as 0, one-sided 0 and 1"), formula="where(x > 0, x, 0)", example="relu([-1.0, 2.0])",
)  # fmt: skip
leaky_relu = _elementwise(
    "leaky_relu", "x, alpha:number=0.2", "x where it is positive, else alpha*x.", infer=unchanged, accepts="float",
    rule=Elementwise((lambda y, x: unless_nan(x, where(greater(x, 0), 1.0, float(y.attrs["alpha"])), math.nan) + link(x),)),
    kernel=leaky_relu_kernel, degree="abs",
    workspace=1.3, zero_where=(0,), piecewise=True, numbers="float", corner=at_zero("derivative taken as {alpha}, one-sided {alpha} and 1"), formula="where(x > 0, x, alpha*x)", example="leaky_relu([-1.0, 2.0])",
)  # fmt: skip
_expm1_slope = _slope(
    "expm1_slope", "y, x", "1 + y for y = exp(x) - 1, exact also where y is near -1.", lambda _, y, x: 1, None,
    kernel=lambda xp, y, x: xp.exp(xp.minimum(x, x.dtype.type(0))), degree="linear", workspace=1.0, bounds=(0.0, 1.0), numbers="float", formula="1 + y",
    written=lambda _, y, x: exp(x), plain=lambda _, y, x: y + 1, is_plain=lambda xp, y, x: y > -0.9,
)  # fmt: skip
elu = _function(
    "elu", "x where it is positive, else exp(x) - 1; slope 1 at 0.",
    lambda y, x: unless_nan(x, where(less(y, 0), _expm1_slope(y, x), 1.0), math.nan),
    kernel=elu_kernel,
    workspace=1.3, bounds=(-1.0, inf), zero_where=(0,), numbers="float", corner=at_zero("derivative 1 from both sides, the second derivative taken as 0, one-sided 1 and 0"), formula="where(x > 0, x, exp(x) - 1)", example="elu([-1.0, 2.0])",
)  # fmt: skip


gelu = register(Operation(
    "gelu", "x", "Gaussian error linear unit, the exact one.", family="elementwise", accepts="float",
    expand=lambda x: 0.5 * x * TABLE["erfc"](-math.sqrt(0.5) * x), formula="x/2 * (1 + erf(x / sqrt(2)))",
    example="gelu(1.0)",
))  # fmt: skip
silu = register(Operation(
    "silu", "x", "Sigmoid linear unit (swish).", family="elementwise", aliases=("swish",), accepts="float",
    expand=lambda x: x * sigmoid(x), formula="x * sigmoid(x)", example="silu(1.0)",
))  # fmt: skip

floor_divide = _elementwise(
    "floor_divide", "a, b", "The floor of a / b, without a derivative.", None, None, aliases=("floordiv",),
    kernel=Ufunc("floor_divide", unbounded), singular=True, zero_where=(0,), numbers="any", corner=at_step(), formula="floor(a / b)", domain="b != 0; no derivative", example="floor_divide(7, 2)",
)  # fmt: skip
mod = _elementwise(
    "mod", "a, b", "Remainder of the division, with the sign of b.",
    lambda y, a, b: 1, lambda y, a, b: -floor_divide(a, b),
    aliases=("floormod", "remainder"), kernel=mod_kernel, degree="linear", singular=True, zero_where=(0,), piecewise=True, numbers="any", corner=at_step("derivative taken as that of either side, the value jumps"), formula="a - floor(a/b)*b",
    domain="b != 0", example="mod(-1.0, 3.0)",
)  # fmt: skip
xlogy = _elementwise(
    "xlogy", "x, y", "x*log(y), and 0 where x is 0.",
    lambda _, a, b: xlogy(cast_to(not_equal(a, 0), a.dtype), b),
    lambda _, a, b: where(not_equal(a, 0), a * recip(b, positive=True), 0.0),
    accepts="float", singular=True,
    kernel=xlogy_kernel,
    degree="quotient", domain="y > 0", workspace=2.3, zero_where=(0,), numbers="float", corner=at_zero("derivative taken as 0, beside it the logarithm"), formula="where(x == 0, 0, x * log(y))", example="xlogy(0.0, 0.0)",
)  # fmt: skip


def _clip(x: Node, lo: Node, hi: Node) -> Node:
    return minimum(maximum(x, lo), hi)


clip = register(Operation(
    "clip", "x, lo, hi", "x limited to the interval from lo to hi; slope 1 at the bounds.", family="elementwise",
    aliases=("clip_by_value",), expand=_clip, formula="minimum(maximum(x, lo), hi)", example="clip(5.0, 0.0, 1.0)",
))  # fmt: skip


def _rounding(name: str, doc: str, corner: Corner, alias: tuple[str, ...] = (), parity: Parity = "") -> Operation:
    return _elementwise(
        name, "x", doc, None, aliases=alias, parity=parity, infer=unchanged, kernel=integer_safe(name), zero_where=(0,), numbers="any", corner=corner, formula=f"{name}(x)",
        example=f"{name}(-1.5)", domain="all real numbers; no derivative",
    )  # fmt: skip


floor = _rounding("floor", "The largest integer not above x.", at_whole())
ceil = _rounding("ceil", "The smallest integer not below x.", at_whole())
round_ = _rounding("round", "The nearest integer, halves to even.", at_whole(0.5, "at a half"), ("rint",), "odd")
trunc = _rounding("trunc", "The integer part, towards 0.", at_whole(), ("fix",), "odd")

"""What people of other libraries and languages type, and what to write here instead. Read when an error is shown.

A form such as ``"clamp(x, lo, hi)": "clip(x, lo, hi)"`` says how a call is written here; ``*n`` stands for all further
arguments, and an argument with a name must be given by it. Tests evaluate each form, beside the function that is meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple


def _each(names: str, arguments: str, here: str) -> dict[str, str]:
    return {f"{name}({arguments})": here for name in names.split()}


CALLS: dict[str, str] = {
    "sec(x)": "1/cos(x)", "csc(x)": "1/sin(x)", "cot(x)": "1/tan(x)", "sech(x)": "1/cosh(x)", "csch(x)": "1/sinh(x)",
    "coth(x)": "1/tanh(x)", "asec(x)": "acos(1/x)", "acsc(x)": "asin(1/x)", "acot(x)": "atan(1/x)",
    "exp10(x)": "10^x", "sqr(x)": "x^2", "cube(x)": "x^3", **_each("root nthroot", "x, n", "x^(1/n)"),
    **_each("fabs", "x", "abs(x)"), **_each("sgn signum", "x", "sign(x)"),
    **_each("invsqrt inversesqrt", "x", "rsqrt(x)"), "ceiling(x)": "ceil(x)",
    **_each("frac fract", "x", "x - floor(x)"), **_each("fmod rem", "a, b", "a - trunc(a/b)*b"),
    **_each("idiv quotient", "a, b", "floor(a/b)"),
    **_each("deg2rad radians", "x", "x*pi/180"), **_each("rad2deg degrees", "x", "x*180/pi"),
    "logistic(x)": "sigmoid(x)",
    "relu6(x)": "clip(x, 0, 6)", "hardtanh(x)": "clip(x, -1, 1)",
    "mish(x)": "x*tanh(softplus(x))", "softsign(x)": "x/(1 + abs(x))",
    **_each("normcdf norm_cdf pnorm", "x", "ndtr(x)"), **_each("normpdf dnorm", "x", "exp(-x^2/2)/sqrt(2*pi)"),
    "heaviside(x, h)": "where(x == 0, h, where(x > 0, 1, 0))", "copysign(a, b)": "where(b < 0, -abs(a), abs(a))",
    **_each("lerp mix", "a, b, t", "a + t*(b - a)"), "fma(a, b, c)": "a*b + c",
    "lt(a, b)": "a < b", "le(a, b)": "a <= b", "gt(a, b)": "a > b", "ge(a, b)": "a >= b", "eq(a, b)": "a == b",
    "ne(a, b)": "a != b", **_each("clamp", "x, lo, hi", "clip(x, lo, hi)"), "clamp(x, min=lo)": "maximum(x, lo)",
    "clamp(x, max=hi)": "minimum(x, hi)", "clamp(x, min=lo, max=hi)": "clip(x, lo, hi)",
    **_each("if ifelse if_else iif cond", "c, a, b", "where(c, a, b)"), **_each("average avg", "x", "mean(x)"),
    **_each("average avg", "x, axis", "mean(x, axis=axis)"), "product(x)": "prod(x)", "total(x)": "sum(x)",
    "ptp(x)": "max(x) - min(x)", "nansum(x)": "sum(where(isnan(x), 0, x))", "rms(x)": "sqrt(mean(x^2))",
    "vdot(a, b)": "sum(a*b)", "diff(x)": "x[1:] - x[:-1]",
    **_each("grad gradient diff derivative Derivative D", "y, x", "gradients(y, x)"),
    **_each("mm bmm mv matvec matmult mmul", "m, b", "m @ b"), **_each("mldivide linsolve", "m, b", "solve(m, b)"),
    "addmm(c, a, b)": "c + a @ b", "cat(l)": "concat(l, 0)", "cat(l, axis)": "concat(l, axis)",
    "fliplr(m)": "flip(m, 1)", "flipud(m)": "flip(m, 0)", "repmat(m, n, k)": "tile(m, [n, k])",
    **_each("ravel flatten", "x", "reshape(x, [-1])"), "view(x, *n)": "reshape(x, [*n])",
    "unsqueeze(x, k)": "expand_dims(x, k)", "permute(x, *n)": "transpose(x, [*n])", "t(x)": "x.T",
    **_each("numel nelem", "x", "size(x)"), **_each("ndim ndims", "x", "rank(x)"), **_each("len nrow", "x", "shape(x)[0]"),
    "ncol(m)": "shape(m)[1]", "full_like(x, v)": "full(shape(x), v)", "logspace(a, b, n)": "10^linspace(a, b, n)",
    "randn(*n)": "random_normal([*n])", "rand(*n)": "random_uniform([*n])",
    **_each("trapz trapezoid", "y, x", "sum((y[1:] + y[:-1])*(x[1:] - x[:-1]))/2"),
    **_each("trapz trapezoid", "y", "sum(y[1:] + y[:-1])/2"), **_each("mse_loss mean_squared_error", "a, b", "mse(a, b)"),
    **_each("l1_loss mae", "a, b", "mean(abs(a - b))"), "bool(x)": "x != 0", **_each("float double", "x", "cast(x, float64)"),
    "int(x)": "cast(x, int64)", **_each("astype to type", "x, dtype", "cast(x, dtype)"),
    **_each("array asarray tensor as_tensor convert_to_tensor Constant", "x", "x"),
    **_each("detach", "x", "stop_gradient(x)"), **_each("item numpy tolist cpu cuda clone copy contiguous", "x", "x"),
    "log(x, b)": "log(x)/log(b)", "round(x, n)": "round(x*10^n)/10^n",
}  # fmt: skip
CALLS |= {f"{dtype}(x)": f"cast(x, {dtype})" for dtype in ("float32", "float64", "int32", "int64")}
"""Forms of calls, with or without a module before the name, or with the first argument before it: ``x.clamp(lo, hi)``."""

METHODS: dict[str, str] = {
    "argmax(x)": "argmax(reshape(x, [-1]))", "argmin(x)": "argmin(reshape(x, [-1]))",
    "cumsum(x)": "cumsum(reshape(x, [-1]))", "cumprod(x)": "cumprod(reshape(x, [-1]))", "T(x)": "x.T",
    "transpose(x)": "x.T", "transpose(x, *n)": "transpose(x, [*n])", "reshape(x, *n)": "reshape(x, [*n])",
    "tile(x, *n)": "tile(x, [*n])", "repeat(x, n)": "repeat(reshape(x, [-1]), n)", "random.normal(m, s, n)": "random_normal([n], m, s)",
    "random.uniform(a, b, n)": "random_uniform([n], a, b)",
}  # fmt: skip
"""Forms of methods and of functions in modules that differ from the operations of the same names here."""

ADVICE = {
    "Variable": "declare it: `variable x = …`", "Parameter": "declare it: `variable x = …`", "Symbol": "declare it: `variable x = …`",
    "symbols": "declare it: `variable x = …`", "requires_grad_": "declare it: `variable x = …`",
    "placeholder": "declare it without a value: `variable x: [3]`",
    "backward": "write `gradients(y, x)`", "GradientTape": "write `gradients(y, x)`", "value_and_grad": "write `gradients(y, x)`",
    "grad": "write `gradients(y, x)`", "D": "write `gradients(y, x)`", "Derivative": "write `gradients(y, x)`",
    "print": "`output y` says which values are printed", "println": "`output y` says which values are printed",
    "disp": "`output y` says which values are printed", "display": "`output y` says which values are printed",
    "hstack": "write `concat([a, b], axis=1)`, for arrays of one axis `concat([a, b], axis=0)`",
    "vstack": "write `concat([a, b], axis=0)`, for arrays of one axis `stack([a, b])`",
    "horzcat": "write `concat([a, b], axis=1)`", "vertcat": "write `concat([a, b], axis=0)`",
    **dict.fromkeys(("cross_entropy", "CrossEntropyLoss"), "write `mean(softmax_cross_entropy(labels, logits))`: one row of probabilities for each row of logits, of classes `one_hot(classes, n)`"),
    **dict.fromkeys(("sparse_softmax_cross_entropy", "sparse_softmax_cross_entropy_with_logits", "nll_loss"), "write `softmax_cross_entropy(one_hot(classes, n), logits)`"),
    "vmap": "operations broadcast: write the formula for arrays", "jit": "leave it out: programs are planned as they are",
    "Piecewise": "write `where(condition, a, b)`", "Matrix": "write the entries in brackets: `[[1, 2], [3, 4]]`",
    "normal": "write `random_normal([2, 3])`: a shape, perhaps with mean=, stddev= and seed=",
    "uniform": "write `random_uniform([2, 3])`: a shape, perhaps with minval=, maxval= and seed=",
    "no_grad": "write `stop_gradient(x)`", "integrate": "there are no integrals; a sum over points is `sum(f)*step`",
}  # fmt: skip
"""Words for what is not one call here."""

MISSING = {
    "loggamma": "write `lgamma(x)`", "trigamma": "write `polygamma(1, x)`", "zeta": "there is no such special function",
    "erfcinv": "write `-ndtri(x/2)/sqrt(2)`",
    **dict.fromkeys(("icdf", "ppf", "qnorm", "norminv"), "the normal quantile is `ndtri(x)`"), "cdf": "the normal distribution function is `ndtr(x)`",
    "besselj": "write `bessel_j(2, x)`, with the order first",
    "i0": "write `exp(abs(x))*bessel_i0e(x)`", "i1": "write `exp(abs(x))*bessel_i1e(x)`",
    **dict.fromkeys(("iv", "ive"), "bessel_i0e and bessel_i1e are there, the orders 0 and 1 times exp(-abs(x))"),
    **dict.fromkeys(("yn", "yv", "y0", "y1", "kn", "kv", "k0", "k1"), "of the Bessel functions J and I are there: bessel_j, bessel_i0e, bessel_i1e"),
    **dict.fromkeys(("eig", "eigvals", "eigen"), "those of symmetric matrices are there: eigvalsh and eigh"),
    **dict.fromkeys(("lu", "schur", "ldl"), "the factorisations are cholesky, qr, eigh and svd"),
    **dict.fromkeys(("logm", "sqrtm"), "of a symmetric matrix they are made with eigh: v @ diag(sqrt(w)) @ v.T"),
    "percentile": "`quantile(x, 0.25)` is the first quartile",
    "mode": "there is none of the most frequent entry", "unique": "sizes are known before values are, so there is none",
    "nonzero": "sizes are known before values are, so there is none: `where(condition, x, 0)` keeps the shape",
    **dict.fromkeys(("digitize", "histogram"), "`searchsorted([0.0, 1.0], x)` has the place of each entry among the edges 0 and 1"),
    "interp1d": "`interp(x, [0.0, 1.0], [2.0, 3.0])` is linear from 2 at 0 to 3 at 1",
    **dict.fromkeys(("conv", "convolve", "correlate"), "conv1d and conv2d are there, with TensorFlow's order of arguments"),
    **dict.fromkeys(("fft", "ifft", "rfft", "dct"), "there are no Fourier transforms"),
    **dict.fromkeys(("cov", "corrcoef"), "of rows x - mean it is `(x.T @ x)/n`"),
    **dict.fromkeys(("dropout", "batch_norm", "layer_norm", "attention", "embedding"), "layers are written out, from the operations that they are made of"),
    **dict.fromkeys(("conj", "real", "imag", "angle", "complex"), "there are no complex numbers"),
    "solve_ivp": "`odeint(f, y0, t)` takes steps of the classical Runge-Kutta method", "fsolve": "`root(f, x0)` finds where f(x) = 0", "root_scalar": "`root(f, x0)` finds where f(x) = 0",
    "fmin": "`minimize(f, x0)`, or `gradcli fit` on the command line",
}  # fmt: skip
"""Operations that do not exist here, and what is nearest to them."""

ATTRIBUTES = {
    "shape": "shape(x)", "ndim": "rank(x)", "size": "size(x)", "mT": "x.T", "H": "x.T", "I": "inv(x)", "t": "x.T",
    "real": "x", "data": "x", "value": "x",
}  # fmt: skip

VALUES = {
    "TRUE": "true", "FALSE": "false", "null": "None", "none": "None", "nil": "None",
    "deg": "pi/180", "degree": "pi/180", "NULL": "None", "NaN": "nan", "NAN": "nan", "Inf": "inf", "Infinity": "inf", "infinity": "inf", "oo": "inf",
    "π": "pi", "PI": "pi", "Pi": "pi", "tau": "2*pi", "τ": "2*pi", "E": "e", "INF": "inf", "NA": "nan", "M_PI": "pi",
}  # fmt: skip

PARAMETERS = {"dim": "axis", "dims": "axis", "keepdim": "keepdims", "reduction_indices": "axis", "input": "x"}

DTYPES = {
    "float": "float64", "double": "float64", "single": "float32", "half": "float32", "float16": "float32", "int": "int64",
    "long": "int64", "integer": "int64", "Float64": "float64", "Float32": "float32", "Int64": "int64", "boolean": "bool",
    "real": "float64", "logical": "bool", "f32": "float32", "f64": "float64", "number": "float64",
}  # fmt: skip

AGAIN = "a name is bound once: give the new value a new name, `{0}2 = {0} {1} …`"

OPERATORS = {
    "===": "write `==`", "!==": "write `!=`", "<>": "write `!=`", "~=": "write `!=`", "=<": "write `<=`", "=>": "write `>=`",
    "&&": "write `and`", "||": "write `or`", "!": "write `not`", "~": "write `not`",
    "&": "write `and`, or `logical_and(a, b)`", "|": "write `or`, or `logical_or(a, b)`",
    "//": "write `floor(a / b)`", "%": "write `mod(a, b)`", "%%": "write `mod(a, b)`", "%*%": "write `@`",
    "%/%": "write `floor(a / b)`", ":=": "write `=`", "|>": "write `f(x)`",
    "->": "write `def f(x) = …`", "?": "write `where(condition, a, b)`",
    ".*": "write `*`", "./": "write `/`", ".^": "write `^`", ".+": "write `+`", ".-": "write `-`", ".**": "write `^`",
    ".==": "write `==`", ".<": "write `<`", ".>": "write `>`", "::": "write `variable x: float64`",
    "<<": "write `x * 2^n`", ">>": "write `floor(x / 2^n)`",
    "**=": AGAIN, "+=": AGAIN, "-=": AGAIN, "*=": AGAIN, "/=": AGAIN, "^=": AGAIN, "@=": AGAIN,
}  # fmt: skip

CHARACTERS = dict.fromkeys("×·⋅∙•∗⊙", "*") | dict.fromkeys("−–—‐‑‒", "-") | dict.fromkeys("÷∕⁄", "/") | {
    "≤": "<=", "≥": ">=", "≠": "!=", "≡": "==", "∧": "and", "∨": "or", "¬": "not", "√": "sqrt(x)", "∛": "cbrt(x)",
    "∞": "inf", "…": "...", "∂": "gradients(y, x)", "∇": "gradients(y, x)", "∑": "sum(x)", "∏": "prod(x)", "∥": "norm(x)",
    "‖": "norm(x)", "∈": ":", "½": "0.5", "¼": "0.25", "¾": "0.75", "←": "=", "≔": "=", "°": "*pi/180",
} | dict.fromkeys("“”„«»", '"') | dict.fromkeys("‘’‚", "'")  # fmt: skip

WORDS = {
    "import": "leave it out: every operation is built in", "from": "leave it out: every operation is built in",
    "using": "leave it out: every operation is built in", "library": "leave it out: every operation is built in",
    "let": "write `x = …`", "val": "write `x = …`", "auto": "write `x = …`", "local": "write `x = …`",
    "syms": "write `variable x`, a line for each", "param": "write `variable x = …`", "parameter": "write `variable x = …`",
    "return": "the last expression of a block is its value: leave `return` out",
    "if": "write `where(condition, a, b)`", "else": "write `where(condition, a, b)`", "elif": "write `where(condition, a, b)`",
    "for": "write `iterate(f, x0, n)`: f applied n times, or `scan(f, rows, x0)`", "while": "write `iterate(f, x0, n, until=g)`: at most n times, until g holds",
    "with": "leave it out: what is to be a constant is `stop_gradient(x)`, or `--stop x`", "lambda": "write `def f(x) = …` on a line of its own", "function": "write `def f(x) = …`",
    "func": "write `def f(x) = …`", "fn": "write `def f(x) = …`", "fun": "write `def f(x) = …`", "print": "write `output …`",
    "int": "write `constant n: int64 = …`", "float": "write `variable x = …`", "double": "write `variable x = …`",
}  # fmt: skip
"""Words that open a statement or an expression elsewhere."""

LATEX = {
    "cdot": "*", "times": "*", "div": "/", "ast": "*", "leq": "<=", "le": "<=", "geq": ">=", "ge": ">=", "neq": "!=",
    "ne": "!=", "infty": "inf", "pi": "pi", "land": "and", "lor": "or", "lnot": "not", "ln": "log(x)", "arcsin": "asin(x)",
    "arccos": "acos(x)", "arctan": "atan(x)", "lvert": "abs(x)", "rvert": "abs(x)", "lVert": "norm(x)", "rVert": "norm(x)",
    "partial": "gradients(y, x)", "nabla": "gradients(y, x)", "top": ".T", "sum": "sum(x)", "prod": "prod(x)",
}  # fmt: skip
"""Commands of LaTeX; a fraction and a root are rewritten with what they hold, other letters are names."""


class Form(NamedTuple):
    """A form of a call: its parameters, the last of them perhaps ``*n``, those given by name, and what it is here."""

    positional: tuple[str, ...]
    named: Mapping[str, str]
    here: str


@cache
def _forms() -> tuple[dict[str, list[Form]], dict[str, list[Form]]]:
    tables: list[dict[str, list[Form]]] = []
    for source in (METHODS, CALLS):
        forms: dict[str, list[Form]] = {}
        for text, here in source.items():
            name, _, inside = text.removesuffix(")").partition("(")
            parameters = [p for p in inside.split(", ") if p]
            positional = tuple(p for p in parameters if "=" not in p)
            named = dict(p.split("=") for p in parameters if "=" in p)
            forms.setdefault(name, []).append(Form(positional, named, here))
        tables.append(forms)
    return tables[0], tables[1]


def names() -> set[str]:
    """Every function that the forms know."""
    return {name for forms in _forms() for name in forms}


class Argument(NamedTuple):
    """The text of an argument, its name if it is given by name, and whether operators beside it would tear it apart."""

    text: str
    name: str | None = None
    loose: bool = False


def written_here(path: Sequence[str], arguments: Sequence[Argument], dotted: bool) -> str | None:
    """A call as it is written here, or None if no form fits. ``path`` are the words of its name, the last one last."""
    methods, calls = _forms()
    for start in range(len(path)):
        word = ".".join(path[start:])
        for forms in (methods, calls) if dotted else (calls,):
            for form in forms.get(word, ()):
                captured = _captured(form, arguments)
                if captured is not None:
                    return filled(form.here, captured)
    return None


def _captured(form: Form, arguments: Sequence[Argument]) -> dict[str, Argument] | None:
    given = {a.name: a for a in arguments if a.name is not None}
    positional = [a for a in arguments if a.name is None]
    captured: dict[str, Argument] = {}
    for name, parameter in form.named.items():
        if name not in given:
            return None
        captured[parameter] = given.pop(name)
    wanted = list(form.positional)
    if wanted and wanted[-1].startswith("*"):
        rest = positional[len(wanted) - 1 :]
        inner = (
            rest[0].text[1:-1] if len(rest) == 1 and rest[0].text.startswith("[") else ", ".join(a.text for a in rest)
        )
        if not inner:
            return None
        captured[wanted.pop()] = Argument(inner)
        positional = positional[: len(wanted)]
    for parameter in wanted[len(positional) :]:
        other = {v: k for k, v in PARAMETERS.items()}.get(parameter, parameter)
        name = parameter if parameter in given else other
        if name not in given:
            return None
        captured[parameter] = given.pop(name)
    if given or len(positional) > len(wanted):
        return None
    captured.update(zip(wanted, positional, strict=False))
    return captured


def filled(template: str, captured: Mapping[str, Argument]) -> str:
    """A template with arguments for its names, in parentheses where operators beside them would tear them apart."""

    def fill(match: re.Match[str]) -> str:
        argument = captured.get(match[1] or match[2])
        if argument is None or match[3]:
            return match[0]
        before, after = template[: match.start()].rstrip()[-1:], template[match.end() :].lstrip()[:1]
        alone = before in ("", "(", "[", ",", "=") and after in ("", ")", "]", ",")
        return argument.text if alone or not argument.loose else f"({argument.text})"

    return re.sub(r"(?<=\[)(\*[a-z]\w*)(?=\])|\b([a-z]\w*)\b(\(|=(?!=))?", fill, template)

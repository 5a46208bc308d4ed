"""What is said to people of other libraries and languages is true: what they are told to write is what they meant."""

from __future__ import annotations

import re

import numpy as np
import pytest
import scipy.special

import gradcli
from gradcli.graph.ops import table
from gradcli.language import foreign

X, Y = np.array([0.4, -0.7, 0.25]), np.array([1.5, 0.5, 2.5])
M = np.array([[2.0, 1.0, 0.5], [0.0, 3.0, 1.0], [1.0, 0.0, 2.5]])
VALUES = {"x": X, "y": Y, "a": Y, "b": np.array([2.0, -1.5, 3.0]), "c": np.array([0.5, 1.0, -1.0]), "m": M}
GIVEN = {
    "lo": "-0.5", "hi": "0.3", "n": "3", "k": "1", "t": "0.25", "h": "0.5", "v": "7.0", "axis": "0", "s": "2.0",
    "dtype": "float32", "l": "[x, y]",
}  # fmt: skip
HEAD = "".join(f"variable {name} = {value.tolist()}\n" for name, value in VALUES.items())


def erfc(x):
    return scipy.special.erfc(x)


def same(x):
    return x


def trapezoid(y, x=None):
    return np.trapezoid(y, x)


# For each name the function that is meant, of NumPy's arrays and Python's numbers; None where numbers are drawn.
MEANT = {
    "sec": lambda x: 1 / np.cos(x), "csc": lambda x: 1 / np.sin(x), "cot": lambda x: np.cos(x) / np.sin(x),
    "sech": lambda x: 2 / (np.exp(x) + np.exp(-x)), "csch": lambda x: 2 / (np.exp(x) - np.exp(-x)),
    "coth": lambda x: np.cosh(x) / np.sinh(x), "asec": lambda x: np.arccos(1 / x), "acsc": lambda x: np.arcsin(1 / x),
    "acot": lambda x: np.arctan(1 / x), "exp10": lambda x: np.power(10.0, x), "sqr": np.square, "cube": lambda x: x * x * x,
    "root": lambda x, n: np.exp(np.log(x) / n), "nthroot": lambda x, n: np.exp(np.log(x) / n), "fabs": np.fabs, "sgn": np.sign,
    "signum": np.sign, "invsqrt": lambda x: x**-0.5, "inversesqrt": lambda x: x**-0.5,
    "ceiling": np.ceil, "frac": lambda x: np.mod(x, 1), "fract": lambda x: np.mod(x, 1), "fmod": np.fmod,
    "rem": np.fmod, "idiv": np.floor_divide, "quotient": np.floor_divide, "deg2rad": np.deg2rad,
    "radians": np.radians, "rad2deg": np.rad2deg, "degrees": np.degrees,     "logistic": scipy.special.expit,
    "relu6": lambda x: np.clip(x, 0, 6),
    "hardtanh": lambda x: np.clip(x, -1, 1), "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
    "softsign": lambda x: x / (1 + np.abs(x)), "norm_cdf": scipy.special.ndtr, "normcdf": scipy.special.ndtr,
    "pnorm": scipy.special.ndtr, "normpdf": lambda x: np.exp(-x * x / 2) / np.sqrt(2 * np.pi),
    "dnorm": lambda x: np.exp(-x * x / 2) / np.sqrt(2 * np.pi), "heaviside": np.heaviside, "copysign": np.copysign,
    "lerp": lambda a, b, t: (1 - t) * a + t * b, "mix": lambda a, b, t: (1 - t) * a + t * b, "fma": lambda a, b, c: a * b + c,
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal,
    "ne": np.not_equal, "clamp": lambda x, lo=-np.inf, hi=np.inf: np.minimum(np.maximum(x, lo), hi), "if": np.where,
    "ifelse": np.where, "if_else": np.where, "iif": np.where, "cond": np.where, "average": np.average, "avg": np.average,
    "product": np.prod, "total": np.sum, "ptp": np.ptp, "nansum": np.nansum, "rms": lambda x: np.sqrt(np.mean(x * x)),
    "vdot": np.vdot, "mm": np.matmul, "bmm": np.matmul, "mv": np.matmul, "matvec": np.matmul, "matmult": np.matmul,
    "mmul": np.matmul, "mldivide": np.linalg.solve, "linsolve": np.linalg.solve, "cat": lambda parts, axis=0: np.concatenate(parts, axis),
    "fliplr": np.fliplr, "flipud": np.flipud, "repmat": lambda m, n, k: np.tile(m, (n, k)), "ravel": np.ravel, "flatten": np.ravel,
    "addmm": lambda c, a, b: c + a @ b, "unsqueeze": np.expand_dims, "t": np.transpose, "numel": np.size, "nelem": np.size,
    "ndim": np.ndim, "ndims": np.ndim, "len": len, "nrow": len, "ncol": lambda m: m.shape[1], "full_like": np.full_like,
    "logspace": np.logspace, "randn": None, "rand": None, "trapz": trapezoid, "trapezoid": trapezoid,
    "mse_loss": lambda a, b: np.mean((a - b) ** 2), "mean_squared_error": lambda a, b: np.mean((a - b) ** 2),
    "l1_loss": lambda a, b: np.mean(np.abs(a - b)), "mae": lambda a, b: np.mean(np.abs(a - b)), "bool": lambda x: x.astype(bool),
    "float": lambda x: x.astype(float), "double": lambda x: x.astype(float), "int": lambda x: x.astype(int),
    **{d: lambda x, d=d: x.astype(d) for d in ("float32", "float64", "int32", "int64")},
    "astype": lambda x, dtype: x.astype("float32"), "to": lambda x, dtype: x.astype("float32"),
    "type": lambda x, dtype: x.astype("float32"), "log": lambda x, b: np.log(x) / np.log(b), "round": np.round,
    **dict.fromkeys(("array", "asarray", "tensor", "as_tensor", "convert_to_tensor", "Constant", "detach"), same),
    **dict.fromkeys(("item", "numpy", "tolist", "cpu", "cuda", "clone", "copy", "contiguous"), same),
    "diff": lambda y, x=None: np.diff(y) if x is None else 2 * x,
    **dict.fromkeys(("grad", "gradient", "derivative", "Derivative", "D"), lambda y, x: 2 * x),
    "view": lambda m: np.reshape(m, (9, 1)), "permute": lambda m: np.transpose(m, (1, 0)),
    "argmax": np.argmax, "argmin": np.argmin, "cumsum": np.cumsum, "cumprod": np.cumprod, "T": np.transpose,
    "transpose": np.transpose, "reshape": lambda m: np.reshape(m, (9, 1)), "tile": lambda m: np.tile(m, (2, 3)),
    "repeat": np.repeat, "random.normal": None, "random.uniform": None,
}  # fmt: skip
SIZES = {
    "view": "9, 1",
    "reshape": "9, 1",
    "permute": "1, 0",
    "transpose": "1, 0",
    "tile": "2, 3",
    "randn": "2, 3",
    "rand": "2, 3",
}
"""What stands for ``*n``."""
MATRIX = (
    "view",
    "permute",
    "t",
    "T",
    "argmax",
    "argmin",
    "cumsum",
    "cumprod",
    "transpose",
    "reshape",
    "tile",
    "repeat",
)


def spelled(form, name, variant):
    """A call of a form with the test's arguments: as a function, in a module, as a method."""
    arguments = []
    for parameter in re.search(r"\((.*)\)", form)[1].split(", "):
        key, equals, value = parameter.rpartition("=")
        shown = SIZES.get(name, "") if value.startswith("*") else GIVEN.get(value, value)
        if name in MATRIX and value == "x" or name == "addmm" and value == "a":
            shown = "m"
        if name in ("if", "ifelse", "if_else", "iif", "cond") and value == "c":
            shown = "x > 0"
        if value == "n" and name in ("root", "nthroot"):
            shown = "3"
        if name in ("logspace", "random.normal", "random.uniform"):
            shown = {"a": "0.5", "b": "2.0", "m": "1.0"}.get(value, shown)
        if name in ("asec", "acsc", "root", "nthroot", "log", "logit") and value == "x":
            shown = "(4*abs(x))" if name != "logit" else "abs(x)"
        if name in ("invsqrt", "inversesqrt"):
            shown = "y"
        if name == "log" and value == "b":
            shown = "2"
        if value == "y" and re.search(r"\(y, x\)", form) and "trap" not in name:
            shown = "q"
        arguments.append(key + equals + shown)
    if variant == "method":
        return f"{arguments[0]}.{name}({', '.join(arguments[1:])})" if re.match(r"\w+$|\[", arguments[0]) else None
    return f"{'lib.' if variant == 'module' else ''}{name}({', '.join(arguments)})"


FORMS = [(form, variant) for form in foreign.CALLS for variant in ("function", "module", "method")]
FORMS += [(form, variant) for form in foreign.METHODS for variant in ("module", "method")]
TAKEN = {op for o in table.values() for op in (o.name, *o.aliases)}


def advised(line, head=HEAD):
    """What the help of an error says to write."""
    with pytest.raises(gradcli.GradcliError) as caught:
        gradcli.loads(f"{head}q = square(x)\nresult = {line}\n")
    return caught.value


@pytest.mark.slow
@pytest.mark.parametrize(("form", "variant"), FORMS)
def test_what_a_form_says_is_what_is_meant(form, variant):
    name = form.partition("(")[0]
    if variant == "method" and "." in name:
        return
    line = spelled(form, name, variant)
    if line is None or variant == "function" and name in TAKEN and name not in ("log", "round"):
        return
    error = advised(line)
    written = re.fullmatch(r"write `(.*)`", error.help)
    assert written, (line, error.message, error.help)
    program = gradcli.loads(f"{HEAD}q = square(x)\nresult = {written[1]}\n")
    value = np.asarray(program.eval(["result"])["result"])
    meant = MEANT[name]
    if meant is None:
        assert value.shape in ((2, 3), (3,))
        return
    scope = {**VALUES, "q": X * X, "float32": "float32", "abs": np.abs}
    inside = re.search(rf"{re.escape(name)}\((.*)\)$", line)[1]
    arguments = inside if variant != "method" else ", ".join(filter(None, (line.partition(f".{name}(")[0], inside)))
    if any(p.startswith("*") for p in re.search(r"\((.*)\)", form)[1].split(", ")):
        arguments = "m"
    arguments = arguments.replace("min=", "lo=").replace("max=", "hi=")
    expected = np.asarray(eval(f"meant({arguments})", {"meant": meant, **scope}))
    assert value.shape == expected.shape
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_every_form_has_a_meaning():
    assert {form.partition("(")[0] for form in (*foreign.CALLS, *foreign.METHODS)} == MEANT.keys()


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("m.sum(1)", M.sum(1)), ("m.sum(axis=0, keepdims=True)", M.sum(0, keepdims=True)), ("m.sum(dim=1)", M.sum(1)),
        ("m.max(1)", M.max(1)), ("m.mean()", M.mean()), ("x.pow(2)", X**2), ("(x + y).pow(2)", (X + Y) ** 2), ("m.T()", M.T),
        ("(-x).abs()", np.abs(X)), ("m.sum(1).mean()", M.sum(1).mean()), ("x.mean().item()", X.mean()),
        ("m.reshape([9])", M.reshape(9)), ("m.reshape(-1)", M.ravel()), ("m.dot(x)", M @ X), ("m.std(0)", M.std(0)),
        ("np.sum(m, 1)", M.sum(1)), ("np.linalg.inv(m)", np.linalg.inv(M)), ("np.sum(np.exp(x))", np.exp(X).sum()),
        ("np.linalg.norm(x - y)", np.linalg.norm(X - Y)), ("torch.sum(m, dim=1, keepdim=True)", M.sum(1, keepdims=True)),
        ("tf.constant(3.0)", 3.0), ("tf.constant([1.0, 2.0])", np.array([1.0, 2.0])), ("np.maximum(x, 0)", np.maximum(X, 0)),
        ("jnp.where(x > 0, x, y)", np.where(X > 0, X, Y)), ("F.relu(x)", np.maximum(X, 0)), ("x.T().sum()", X.sum()),
        ("torch.nn.functional.softmax(x, dim=0)", scipy.special.softmax(X)), ("np.array([1.5, 2])", np.array([1.5, 2])),
        ("sin^2(x)", np.sin(X) ** 2), ("cos^-1(x)", np.arccos(X)), ("sin²(x)", np.sin(X) ** 2), ("tan⁻¹(x)", np.arctan(X)),
        ("|x - y|", np.abs(X - Y)), ("||x||", np.linalg.norm(X)), ("‖x‖", np.linalg.norm(X)), ("√y", np.sqrt(Y)),
        ("√(y + 1)", np.sqrt(Y + 1)), ("∛x", np.cbrt(X)), ("∑x", X.sum()), ("x²", X**2), ("x⁻¹", 1 / X), ("5!", 120),
        (r"\frac{x}{2}", X / 2), (r"\frac{x + 1}{y}", (X + 1) / Y), (r"\sqrt{y}", np.sqrt(Y)), (r"\sin{x}", np.sin(X)),
        (r"\exp(x)", np.exp(X)), (r"\pi", np.pi), (r"\infty", np.inf), ("π", np.pi), ("2π", 2 * np.pi), ("tau", 2 * np.pi),
        ("np.pi", np.pi), ("math.e", np.e), ("np.inf", np.inf), ("Inf", np.inf), ("oo", np.inf), ("M_PI", np.pi), ("2x", 2 * X),
        ("sin x", np.sin(X)), ("1e-3f", 1e-3), ("0x10", 16), ("½", 0.5), ("x.shape", (3,)), ("m.ndim", 2), ("m.size", 9),
        ("m.I", np.linalg.inv(M)), ("m.mT", M.T), ("mᵀ", M.T), ("log(y, 2)", np.log2(Y)), ("10%", 0.1),
        ("reshape(m, 9, 1)", M.reshape(9, 1)), ("zeros(2, 3)", np.zeros((2, 3))), ("x.clip(0, 1)", np.clip(X, 0, 1)),
    ],
)  # fmt: skip
def test_what_is_said_of_a_line_is_what_is_meant(line, meant):
    error = advised(line)
    written = re.search(r"write[^`]*`([^`]+)`", error.help) or re.search(r"`([^`]+)`", error.help)
    value = gradcli.loads(f"{HEAD}result = {written[1]}\n").eval(["result"])["result"]
    np.testing.assert_allclose(value, meant, rtol=1e-12)


@pytest.mark.parametrize("word", foreign.MISSING)
def test_what_does_not_exist_is_not_taken_for_another(word):
    assert word not in TAKEN, "it exists now: take it out of the table"
    for text in (f"{word}(x)", f"x.{word}(2)", f"lib.{word}(x)"):
        error = advised(text)
        assert "did you mean" not in error.help
        assert f"gradcli has no operation `{word}`" in error.message + error.help
        for written in re.findall(r"`([^`]+)`", foreign.MISSING[word]):
            if not written.startswith("gradcli") and "step" not in written:
                # A word of the sentence stands for something of the right shape.
                here = re.sub(r"\bcondition\b", "(x > 0)", written).replace("sort(x)[k]", "sort(x)[1]")
                here = re.sub(
                    r"\bx(?=\.T| @)|(?<=@ )x|(?<=cholesky\()x|(?<=logdet\()x|(?<=, )x(?=\.T)", "definite", here
                )
                if "f," not in here:
                    head = f"{HEAD}constant n = 3\ndefinite = m + m.T\n"
                    gradcli.loads(f"{head}result = {here}\n").eval(["result"])


@pytest.mark.parametrize("name", sorted(foreign.VALUES))
def test_values_of_other_languages(name):
    if foreign.VALUES[name] not in ("None", "true", "false"):
        assert np.asarray(gradcli.loads(f"y = {foreign.VALUES[name]}").eval()["y"]).shape == ()
    assert f"write `{foreign.VALUES[name]}`" == advised(name).help


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ("variabel x2 = 1", "did you mean `variable x2 …`?"), ("vraible x2 = 1", "did you mean `variable x2 …`?"),
        ("constnat k = 1", "did you mean `constant k …`?"), ("ouput x", "did you mean `output x …`?"),
        ("Variable k = 1", "did you mean `variable k …`?"), ("deff f(u) = u", "did you mean `def f …`?"),
        ("k <- 3", "to bind a name, write `k = 3`"), ("k == 3", "to bind a name, write `k = 3`"),
        ("-- remark", "a comment starts with `#`"), ("variable k 3", "write `variable k = 3`"),
        ("variable k, l = 1", "declare one name a statement: `variable k = …`"),
        ("variable double k = 1", "the dtype stands behind the name: `variable k: float64`"),
        ("dtype double", "write `dtype float64`"), ("k = 1,5", "a decimal point is `.`: write `1.5`; a list is `[1, 5]`"),
        ("k = x'", "the derivative of a value y is `gradients(y, x)`; the transpose of x is `x.T`"),
        ("k = f'(x)", "the derivative of a value y is `gradients(y, x)`"), ("k = n!",
         "the factorial of a whole number n is `prod(arange(1, n + 1))`"),
        ("k = foo(1)", "`gradcli ops` lists the operations; to define one: `def foo(x) = …`"),
        ("k = Sin[x]", "a call has round brackets: `sin(…)`"), ("k = sin 2*x", "write `sin(…)`"),
        ("k = x(0)", "to multiply, write `*` between the two; an entry is `x[0]`, counted from 0"),
        ("k = torch.tensor([1.0], requires_grad=True)", "declare it: `variable x = …`"),
        ("k = x %*% y", "write `@`"), ("k = x ~= y", "write `!=`"), ("k = x .+ y", "write `+`"), ("k = x^T", "the transpose is `x.T`"),
        ("k = 3 $x$", "leave it out: formulas stand as they are"), ("k = ∫x", "a sum over points is `sum(f)*step`"),
        ("k = x \\cdot y", "write `*`"), ("k = m\\x", "write `solve(m, x)`"),
    ],
)  # fmt: skip
def test_statements_of_other_languages(text, help):
    with pytest.raises(gradcli.GradcliError) as caught:
        gradcli.loads(f"{HEAD}{text}\n")
    assert caught.value.help == help

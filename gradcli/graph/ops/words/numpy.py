"""How NumPy writes each operation, one entry an operation, and the kernels that words call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from gradcli.graph.node import Node
from gradcli.graph.ops import (
    bessel,
    creation,
    decompositions,
    determinants,
    exponential,
    gamma,
    kernels,
    linear_algebra,
    normal,
    ordering,
    slicing,
    special,
)
from gradcli.graph.printing import items_text
from gradcli.graph.types import is_float, is_integer

Word = str | Callable[[Node], str]
"""An expression in which ``a``, ``b``, ``c`` are the operands, or ``x0``, ``x1``, …, and ``*operands`` all of them.

``dtype`` and ``shape`` are those of the value, ``axes`` is the axis or the tuple of them, ``equation`` that of an einsum;
other names are attributes of the node. A name with an underscore in front is a helper, a kernel of the engine.
"""

OPERANDS = {"a": 0, "b": 1, "c": 2}


def _np(names: str) -> dict[str, Word]:
    return {name: f"np.{name}(*operands)" for name in names.split()}


def _reduction(function: str, own_dtype: bool = False) -> Callable[[Node], str]:
    def word(node: Node) -> str:
        axes = "" if _is_whole(node) else ", axis=axes"
        keep = ", keepdims=True" if node.attrs["keepdims"] else ""
        dtype = ", dtype=dtype" if own_dtype and not is_float(node.dtype) else ""
        return f"{function}(a{axes}{keep}{dtype})"

    return word


def _is_whole(node: Node) -> bool:
    """Whether all axes are reduced."""
    return tuple(node.attrs["axis"]) == tuple(range(node.inputs[0].rank))


def _cumulative(product: bool) -> Callable[[Node], str]:
    def word(node: Node) -> str:
        if node.attrs["exclusive"] or node.attrs["reverse"]:
            return f"_cumulative(a, axis, exclusive, reverse, {product})"
        return f"np.{'cumprod' if product else 'cumsum'}(a, axis=axis, dtype=dtype)"

    return word


def _rounding(name: str) -> Callable[[Node], str]:
    return lambda node: f"np.{name}(a)" if is_float(node.dtype) else "a"


def _mean(node: Node) -> str:
    """NumPy's, but for no entries, where NumPy warns."""
    if 0 in node.inputs[0].shape and 0 not in node.shape:
        return f"{_reduction('np.sum')(node)} * np.nan"
    return _reduction("np.mean")(node)


def _random(function: str, first: str, second: str) -> Callable[[Node], str]:
    def word(node: Node) -> str:
        a, b = ("a" if node.attrs[first] is None else first), ("b" if node.attrs[second] is None else second)
        if function == "uniform" and node.inputs:
            return f"_uniform({a}, {b}, seed, shape).astype(dtype)"
        return f"np.random.RandomState(seed).{function}({a}, {b}, shape).astype(dtype)"

    return word


def _cast(node: Node) -> str:
    to_integers = is_integer(node.dtype) and is_float(node.inputs[0].dtype)
    return "_integers(a, dtype)" if to_integers else "np.asarray(a).astype(dtype)"


def _products(node: Node) -> str:
    return " + ".join([f"x{i} * x{i + 1}" for i in range(0, len(node.inputs), 2)])


def _unindex(node: Node) -> str:
    """Only borders are left: gaps and dropped axes were written in other words."""
    pairs = [(start, n - stop) for (start, stop, _), n in zip(node.attrs["items"], node.attrs["shape"], strict=True)]
    return f"np.pad(a, {pairs})"


def _diagonal_matrix(node: Node) -> str:
    x, k = node.inputs[0], node.attrs["k"]
    if x.rank == 1 and node.attrs["rows"] == node.attrs["columns"] == x.shape[0] + abs(k):
        return "np.diag(a, k)" if k else "np.diag(a)"
    return "_embed(a, k, rows, columns)"


def _transpose(node: Node) -> str:
    reversed_ = tuple(node.attrs["axes"]) == tuple(reversed(range(node.rank)))
    return "a.T" if reversed_ else "np.transpose(a, axes)"


WORDS: dict[str, Word] = {
    "add": "a + b", "subtract": "a - b", "multiply": "a * b", "divide": "a / b", "matmul": "a @ b", "pow": "a ** b", "neg": "-a",
    "less": "a < b", "less_equal": "a <= b", "greater": "a > b", "greater_equal": "a >= b", "equal": "a == b",
    "not_equal": "a != b",
    **_np("exp expm1 exp2 log log1p log2 log10 sin cos tan sinh cosh tanh sqrt cbrt hypot sign abs square maximum minimum "
          "where mod floor_divide isinf isnan isfinite logical_and logical_or logical_not zeros_like ones_like"),
    **{f"a{name}": f"np.arc{name}(a)" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{name: _rounding(name) for name in ("floor", "ceil", "round", "trunc")},
    **{name: f"_{name}(a)" for name in ("sigmoid", "softplus", "elu", "logdet", "cholesky", "log_ndtr", "log_cosh")},
    **{name: f"_{name}(a, order)" for name in ("erfcx", "sinc")},
    "lgamma": "np.vectorize(_lgamma_of_number, otypes=[dtype])(a)", "digamma": "_digamma(np.asarray(a))",
    "polygamma": "_polygamma(np.asarray(a), n)", "gamma": "np.vectorize(_gamma_of_number, otypes=[dtype])(a)",
    **{name: f"_{name}(a, b)" for name in ("lbeta", "gamma_density")}, "digamma_rise": "_digamma_rise(a, b, n)",
    "beta_density": "_beta_density(a, b, c)", "ndtri": "_ndtri(np.asarray(a))", "erfinv": "_erfinv(np.asarray(a))",
    "bessel_j": "_bessel_j(np.asarray(a), n)", "bessel_ie": "_bessel_ie(np.asarray(a), n, order)",
    **{name: f"np.asarray(scipy.special.{name}(*operands), dtype=dtype)" for name in ("gammainc", "gammaincc", "betainc")},
    **{name: _reduction(f"np.{name}", own_dtype=True) for name in ("sum", "prod")},
    "mean": _mean, **{name: _reduction(f"np.{name}") for name in ("max", "min", "any", "all")},
    **{name: f"np.vectorize(math.{name}, otypes=[dtype])(a)" for name in ("erf", "erfc")},
    "multiply_no_nan": "_multiply_no_nan(a, b)", "products": _products,
    "atan2": "np.arctan2(a, b)", "rsqrt": "1 / np.sqrt(a)", "relu": "np.maximum(a, dtype(0))",
    "leaky_relu": "_leaky_relu(a, alpha)", "recip": lambda n: "_recip(a, True)" if n.attrs.get("positive") else "1 / a",
    "divide_no_nan": "_divide_no_nan(a, b)", "recip_no_nan": "_divide_no_nan(1, a)",
    "xlogy": "_xlogy(a, b)", "link": "np.zeros_like(a)", "zero": "np.zeros_like(a)",
    "custom_gradient": "a", "identity": "a", "stop_gradient": "a", "cast": _cast,
    "norm": "_norm(a, axis, keepdims)", "logsumexp": "_logsumexp(a, axis, keepdims)", "softmax": "_softmax(a, axis)",
    "log_softmax": "_log_softmax(a, axis)", "cumsum": _cumulative(False), "cumprod": _cumulative(True),
    "argmax": "np.argmax(a, axis=axis, keepdims=keepdims)", "argmin": "np.argmin(a, axis=axis, keepdims=keepdims)",
    "contraction": "np.einsum(equation, *operands)", "diagonal": "np.diagonal(a, k, -2, -1)",
    "embed_diagonal": _diagonal_matrix, "tril": "np.tril(a, k)", "triu": "np.triu(a, k)", "inv": "np.linalg.inv(a)",
    "eigvalsh": "np.linalg.eigvalsh(_symmetric(a))", "eigenvectors": "np.linalg.eigh(_symmetric(a))[1]",
    "svdvals": "np.linalg.svd(a, compute_uv=False)", "orthonormal": "np.linalg.qr(a)[0]", "detsign": "np.linalg.slogdet(a)[0]",
    "logabsdet": "np.linalg.slogdet(a)[1]", **{name: f"_{name}(a)" for name in ("singular_vectors", "reciprocal_gaps", "pinv", "expm")},
    **{name: f"_{name}(a, b)" for name in ("spectral", "singular_function")},
    "expm_frechet": "_expm_frechet(a, b)", "det": "np.linalg.det(a)", "solve": "np.linalg.solve(a, b)", "cofactor": "_cofactor(a, b)", "completion": "_completion(a, k)",
    "reshape": "np.reshape(a, shape)", "broadcast_to": "np.broadcast_to(a, shape)", "transpose": _transpose,
    "roll": "np.roll(a, shift, axis)", "flip": "np.flip(a, axis)", "concat": "np.concatenate([*operands], axis=axis)",
    "stack": "np.stack([*operands], axis=axis)", "unindex": _unindex,
    "index": lambda n: f"a[{items_text(n.attrs['items'], n.inputs[0].shape, 'np.newaxis')}]",
    "expand_delta": "_expand(a, pattern)", "collect_delta": "_diagonal_view(a, pattern)",
    "gather": "np.take(a, b, axis=axis)", "scatter_add": "_scatter(a, b, axis, size)",
    "scatter_along": "_scatter_along(a, b, axis, size)",
    "ravel_multi_index": "_ravel(*operands, dims=dims)", "searchsorted": "np.searchsorted(np.sort(a), b, side)", "argcummax": "_running(a, axis, False)", "argcummin": "_running(a, axis, True)",
    "argsort": 'np.argsort(a, axis=axis, kind="stable")', "sort": "np.sort(a, axis=axis)",
    "take_along": "np.take_along_axis(a, b, axis=axis)",
    "zeros": "np.zeros(shape, dtype=dtype)", "ones": "np.ones(shape, dtype=dtype)", "eye": lambda n: "np.eye(n, dtype=dtype)" if n.attrs["m"] is None else "np.eye(n, m, dtype=dtype)",
    "arange": "np.arange(start, stop, step).astype(dtype)", "linspace": "np.linspace(start, stop, num).astype(dtype)",
    "one_hot": "(np.expand_dims(a, -1) == np.arange(depth)).astype(dtype)",
    "random_normal": _random("normal", "mean", "stddev"), "random_uniform": _random("uniform", "minval", "maxval"),
}  # fmt: skip
"""Every operation that has a kernel, but for numbers and leaves."""

WRITTEN_ELSEWHERE = {"literal", "array", "leaf"}


def _named(functions: Iterable[Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    return {helper_name(function): function for function in functions}


def helper_name(function: Callable[..., Any]) -> str:
    """The name of a kernel in a module that is written."""
    return "_" + function.__name__.strip("_").removesuffix("_kernel")


HELPERS = _named([
    creation.uniform_kernel, kernels.integers_kernel, kernels.fitting_kernel,
    kernels.recip_kernel, kernels.divide_no_nan_kernel, kernels.multiply_no_nan_kernel, kernels.xlogy_kernel, kernels.elu_kernel, kernels.leaky_relu_kernel,
    kernels.sigmoid_kernel, kernels.softplus_kernel, kernels.norm_kernel, kernels.logsumexp_kernel, kernels.softmax_kernel,
    kernels.log_softmax_kernel, kernels.cumulative_kernel, determinants.cofactor_kernel,
    determinants.small_cofactors_kernel, determinants.subsets, determinants.expansion, determinants.scaled_svd,
    determinants.completion_kernel, linear_algebra.logdet_kernel,
    linear_algebra.cholesky_kernel, linear_algebra.embed_kernel, slicing.diagonal_view, slicing.expand_kernel,
    slicing.scatter_kernel, slicing.scatter_along_kernel, special.lgamma_of_number, special.digamma_kernel, special.polygamma_kernel, special.erfcx_kernel, special.log_ndtr_kernel,
    decompositions.symmetric_kernel, decompositions.singular_vectors_kernel, decompositions.reciprocal_gaps_kernel,
    decompositions.spectral_kernel, decompositions.singular_function_kernel, decompositions.pinv_kernel, exponential.squared_again, exponential.expm_kernel, exponential.expm_frechet_kernel, gamma.gamma_of_number, gamma.lbeta_kernel, gamma.digamma_rise_kernel, gamma.gamma_density_kernel, gamma.beta_density_kernel,
    normal.ndtri_kernel, normal.erfinv_kernel, bessel.bessel_j_kernel, bessel.bessel_ie_kernel, special.log_cosh_kernel, special.sinc_kernel, ordering.running_kernel, slicing.ravel_kernel,
])  # fmt: skip
"""What words may call, by the name that it has in a module."""

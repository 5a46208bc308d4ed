"""How a JAX module writes operations: as NumPy does with ``jnp``, but for what JAX has functions for or cannot trace."""

from __future__ import annotations

from collections.abc import Mapping

from gradcli.graph.node import Node
from gradcli.graph.ops.words.numpy import WORDS as NUMPY
from gradcli.graph.ops.words.numpy import Word


def _nn(names: str) -> dict[str, Word]:
    return {name: f"jax.nn.{name}(a)" for name in names.split()}


def _along(name: str) -> dict[str, Word]:
    return {name: f"jax.nn.{name}(a, axis=axis)"}


def _special(names: dict[str, str]) -> dict[str, Word]:
    return {name: f"jax.scipy.special.{function}(*operands)" for name, function in names.items()}


def _of_order_0(word: str) -> Word:
    """A function whose derivatives JAX has no words for."""

    return lambda node: "" if node.attrs["order"] else word


def _numbers_of_numpy(node: Node) -> str:
    """NumPy's generator draws the same numbers everywhere; they are constants."""
    word = NUMPY[node.op.name]
    text = word if isinstance(word, str) else word(node)
    return "" if node.inputs else f"np.asarray({text.replace('np.random', '_host.random')})"


def _scatter_add(node: Node) -> str:
    return f"np.zeros(shape, dtype=dtype).at[{':, ' * node.attrs['axis']}b].add(a)"


def _scatter_along(node: Node) -> str:
    """Beside the indices along one axis, those of the entry itself along the others."""
    shape, axis = node.inputs[0].shape, node.attrs["axis"]
    mesh = [
        "b" if k == axis else f"np.arange({n}).reshape({tuple([-1 if i == k else 1 for i in range(len(shape))])})"
        for k, n in enumerate(shape)
    ]
    return f"np.zeros(shape, dtype=dtype).at[{', '.join(mesh)}].add(a)"


_LBETA = "(jax.scipy.special.gammaln(a) + jax.scipy.special.gammaln(b) - jax.scipy.special.gammaln(a + b))"

WORDS: Mapping[str, Word] = {
    **NUMPY,
    **_nn("sigmoid softplus elu"), **_along("softmax"), **_along("log_softmax"),
    "leaky_relu": "jax.nn.leaky_relu(a, alpha)",
    **_special({"erf": "erf", "erfc": "erfc", "lgamma": "gammaln", "gamma": "gamma", "digamma": "digamma", "erfinv": "erfinv",
                "ndtri": "ndtri", "log_ndtr": "log_ndtr", "gammainc": "gammainc", "gammaincc": "gammaincc",
                "betainc": "betainc"}),
    "lbeta": _LBETA, "gamma_density": "np.exp(jax.scipy.special.xlogy(a - 1, b) - b - jax.scipy.special.gammaln(a))",
    "beta_density": f"np.exp(jax.scipy.special.xlogy(a - 1, c) + jax.scipy.special.xlog1py(b - 1, -c) - {_LBETA})",
    "argsort": "np.argsort(a, axis=axis, stable=True)", "searchsorted": "np.searchsorted(np.sort(a), b, side).astype(dtype)",
    "scatter_add": _scatter_add, "scatter_along": _scatter_along, "cofactor": "jax.vjp(np.linalg.det, a)[1](np.ones_like(b))[0]",
    **dict.fromkeys(("argcummax", "argcummin", "ravel_multi_index", "completion"), ""),
    "polygamma": "jax.scipy.special.polygamma(n, a)",
    "logsumexp": "jax.scipy.special.logsumexp(a, axis=axes, keepdims=keepdims)",
    "norm": "np.sqrt(np.sum(np.square(a), axis=axes, keepdims=keepdims))",
    "multiply_no_nan": "np.where(b == 0, np.zeros_like(b), a * b)",
    "log_cosh": "np.logaddexp(a, -a) - math.log(2)",
    "sinc": _of_order_0("np.sinc(a)"), "erfcx": _of_order_0("np.exp(a * a) * jax.scipy.special.erfc(a)"),
    "cast": "np.asarray(a).astype(dtype)", "cholesky": "np.linalg.cholesky(np.tril(a) + np.tril(a, -1).swapaxes(-1, -2))",
    "logdet": "np.linalg.slogdet(a)[1]", "expm": "jax.scipy.linalg.expm(a)", "pinv": "np.linalg.pinv(a)",
    "expm_frechet": "jax.scipy.linalg.expm_frechet(a, b, compute_expm=False)",
    "eigvalsh": "np.linalg.eigvalsh(a)", "eigenvectors": "np.linalg.eigh(a)[1]",
    "random_normal": _numbers_of_numpy, "random_uniform": _numbers_of_numpy,
}  # fmt: skip
"""Every operation that has a kernel, but for numbers and leaves; ``np`` stands for ``jax.numpy``, ``_host`` for NumPy. An
empty word says that there is none.
"""

"""How NumPy writes each operation: one entry an operation, as a text with the operands in it, or a function of the node."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Sequence
from textwrap import dedent
from typing import Any

from gradcli.graph.node import Node
from gradcli.graph.ops import kernels, linear_algebra, slicing, special
from gradcli.graph.printing import ATOM, COMPARISON, MINUS, POSTFIX, POWER, PRODUCT, SUM, Text, equation, items_text
from gradcli.graph.types import is_float

INFIX = {
    "add": ("+", SUM), "subtract": ("-", SUM), "multiply": ("*", PRODUCT), "divide": ("/", PRODUCT), "matmul": ("@", PRODUCT),
    "less": ("<", COMPARISON), "less_equal": ("<=", COMPARISON), "greater": (">", COMPARISON),
    "greater_equal": (">=", COMPARISON), "equal": ("==", COMPARISON), "not_equal": ("!=", COMPARISON),
}  # fmt: skip

Word = str | Callable[[Node], str]
"""``{0}`` and ``{1}`` are the operands, ``{all}`` all of them; ``_name(`` calls the helper of that name."""


def _np(names: str) -> dict[str, Word]:
    return {name: f"np.{name}({{all}})" for name in names.split()}


def _reduction(function: str, own_dtype: bool = False) -> Callable[[Node], str]:
    def word(node: Node) -> str:
        keep = ", keepdims=True" if node.attrs["keepdims"] else ""
        dtype = f", dtype=np.{node.dtype}" if own_dtype and not is_float(node.dtype) else ""
        return f"{function}({{0}}{_axes(node)}{keep}{dtype})"

    return word


def _axes(node: Node) -> str:
    axes = tuple(node.attrs["axis"])
    if axes == tuple(range(node.inputs[0].rank)):
        return ""
    return f", axis={axes[0] if len(axes) == 1 else axes}"


def _helper(function: str) -> Callable[[Node], str]:
    """A helper that wants axes and keepdims."""
    return lambda node: f"{function}({{0}}, {tuple(node.attrs['axis'])}, {node.attrs['keepdims']})"


def _cumulative(product: bool) -> Callable[[Node], str]:
    def word(node: Node) -> str:
        axis, exclusive, reverse = (node.attrs[k] for k in ("axis", "exclusive", "reverse"))
        if exclusive or reverse:
            return f"_cumulative({{0}}, {axis}, {exclusive}, {reverse}, {product})"
        return f"np.{'cumprod' if product else 'cumsum'}({{0}}, axis={axis}, dtype=np.{node.dtype})"

    return word


def _rounding(name: str) -> Callable[[Node], str]:
    return lambda node: f"np.{name}({{0}})" if is_float(node.dtype) else "{0}"


def _axis(function: str, after: str = "") -> Callable[[Node], str]:
    return lambda node: f"{function}({{0}}, axis={node.attrs['axis']}{after})"


def _joined(function: str) -> Callable[[Node], str]:
    return lambda node: f"np.{function}([{{all}}], axis={node.attrs['axis']})"


def _random(function: str, *parameters: str) -> Callable[[Node], str]:
    def word(node: Node) -> str:
        a = node.attrs
        numbers = ", ".join(repr(a[p]) for p in parameters)
        seed = list(a["seed"]) if isinstance(a["seed"], tuple) else a["seed"]
        return f"np.random.RandomState({seed}).{function}({numbers}, {tuple(a['shape'])}).astype(np.{node.dtype})"

    return word


def _made(function: str) -> Callable[[Node], str]:
    return lambda node: f"np.{function}({tuple(node.attrs['shape'])}, dtype=np.{_bool(node.dtype)})"


def _bool(dtype: str) -> str:
    return "bool_" if dtype == "bool" else dtype


def _unindex(node: Node) -> str:
    """Only borders are left: gaps and dropped axes were written in other words."""
    pairs = [(start, n - stop) for (start, stop, _), n in zip(node.attrs["items"], node.attrs["shape"], strict=True)]
    return f"np.pad({{0}}, {pairs})"


def _diagonal_matrix(node: Node) -> str:
    if node.inputs[0].rank == 1 and node.attrs["rows"] == node.attrs["columns"] == node.inputs[0].shape[0] + abs(
        node.attrs["k"]
    ):
        return f"np.diag({{0}}, {node.attrs['k']})" if node.attrs["k"] else "np.diag({0})"
    return f"_embed({{0}}, {node.attrs['k']}, {node.attrs['rows']}, {node.attrs['columns']})"


def _full(node: Node) -> str:
    shape = tuple(node.attrs["shape"])
    return f"np.broadcast_to({{0}}, {shape})"


def _einsum(node: Node) -> str:
    return f'np.einsum("{equation(node)}", {{all}})'


def _recip(node: Node) -> str:
    return "_recip({0}, True)" if node.attrs.get("positive") else "1 / {0}"


def _arange(node: Node) -> str:
    a = node.attrs
    return f"np.arange({a['start']}, {a['stop']}, {a['step']}).astype(np.{node.dtype})"


def _linspace(node: Node) -> str:
    a = node.attrs
    return f"np.linspace({a['start']}, {a['stop']}, {a['num']}).astype(np.{node.dtype})"


def _one_hot(node: Node) -> str:
    return f"(np.expand_dims({{0}}, -1) == np.arange({node.attrs['depth']})).astype(np.{node.dtype})"


def _roll(node: Node) -> str:
    return f"np.roll({{0}}, {node.attrs['shift']}, {node.attrs['axis']})"


def _eye(node: Node) -> str:
    return f"np.eye({node.attrs['n']}, {node.attrs['m']}, dtype=np.{_bool(node.dtype)})"


def _of_order(name: str) -> Callable[[Node], str]:
    return lambda node: f"_{name}({{0}}, {node.attrs['order']})"


WORDS: dict[str, Word] = {
    **_np("exp expm1 exp2 log log1p log2 log10 sin cos tan sinh cosh tanh sqrt cbrt hypot sign abs square maximum minimum "
          "where mod floor_divide isnan isfinite logical_and logical_or logical_not zeros_like ones_like"),
    **{f"a{name}": f"np.arc{name}({{0}})" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{name: _rounding(name) for name in ("floor", "ceil", "round", "trunc")},
    **{name: f"_{name}({{0}})" for name in ("sigmoid", "softplus", "erf", "elu", "logdet", "erfc", "log_ndtr", "log_cosh")},
    **{name: _of_order(name) for name in ("erfcx", "sinc")},
    **{name: _reduction(f"np.{name}", own_dtype=True) for name in ("sum", "prod")},
    **{name: _reduction(f"np.{name}") for name in ("mean", "max", "min", "any", "all")},
    "atan2": "np.arctan2({all})", "rsqrt": "1 / np.sqrt({0})", "relu": lambda node: f"np.maximum({{0}}, np.{node.dtype}(0))",
    "leaky_relu": lambda node: f"_leaky_relu({{0}}, {node.attrs['alpha']})",
    "recip": _recip, "divide_no_nan": "_divide_no_nan({all})", "recip_no_nan": "_divide_no_nan(1, {0})",
    "xlogy": "_xlogy({all})", "link": "np.zeros_like({0})", "zero": "np.zeros_like({0})",
    "identity": "{0}", "stop_gradient": "{0}", "cast": lambda node: f"np.asarray({{0}}).astype(np.{_bool(node.dtype)})",
    "norm": _helper("_norm"), "logsumexp": _helper("_logsumexp"), "softmax": lambda n: f"_softmax({{0}}, {n.attrs['axis']})",
    "log_softmax": lambda n: f"_log_softmax({{0}}, {n.attrs['axis']})",
    "cumsum": _cumulative(False), "cumprod": _cumulative(True),
    "argmax": lambda n: f"np.argmax({{0}}, axis={n.attrs['axis']}, keepdims={n.attrs['keepdims']})",
    "argmin": lambda n: f"np.argmin({{0}}, axis={n.attrs['axis']}, keepdims={n.attrs['keepdims']})",
    "contraction": _einsum, "diagonal": lambda n: f"np.diagonal({{0}}, {n.attrs['k']}, -2, -1)",
    "embed_diagonal": _diagonal_matrix, "tril": lambda n: f"np.tril({{0}}, {n.attrs['k']})",
    "triu": lambda n: f"np.triu({{0}}, {n.attrs['k']})", "inv": "np.linalg.inv({0})", "det": "np.linalg.det({0})",
    "solve": "np.linalg.solve({all})", "cholesky": "_cholesky({0})", "cofactor": "_cofactor({all})",
    "reshape": lambda n: f"np.reshape({{0}}, {tuple(n.shape)})", "broadcast_to": _full,
    "transpose": lambda n: f"np.transpose({{0}}, {tuple(n.attrs['axes'])})", "roll": _roll,
    "flip": lambda n: f"np.flip({{0}}, {tuple(n.attrs['axis'])})", "concat": _joined("concatenate"), "stack": _joined("stack"),
    "unindex": _unindex, "index": lambda n: f"{{0!p}}[{items_text(n.attrs['items'], n.inputs[0].shape, 'np.newaxis')}]",
    "expand_delta": lambda n: f"_expand({{0}}, {tuple(n.attrs['pattern'])})",
    "collect_delta": lambda n: f"_diagonal_view({{0}}, {tuple(n.attrs['pattern'])})",
    "gather": lambda n: f"np.take({{all}}, axis={n.attrs['axis']})",
    "scatter_add": lambda n: f"_scatter_add({{all}}, {n.attrs['axis']}, {n.attrs['size']})",
    "argsort": _axis("np.argsort", ', kind="stable"'), "sort": _axis("np.sort"),
    "take_along": lambda n: f"np.take_along_axis({{all}}, axis={n.attrs['axis']})",
    "zeros": _made("zeros"), "ones": _made("ones"), "eye": _eye, "arange": _arange, "linspace": _linspace,
    "one_hot": _one_hot, "random_normal": _random("normal", "mean", "stddev"),
    "random_uniform": _random("uniform", "minval", "maxval"),
}  # fmt: skip
"""Every operation that has a kernel, but for those of INFIX, powers, signs and numbers."""

WRITTEN_ELSEWHERE = {"pow", "neg", "literal", "array", "leaf", "products", *INFIX}


def apply(node: Node, operands: Sequence[Text]) -> Text:
    """The text of one node for NumPy, given those of its inputs."""
    name = node.op.name
    if name in INFIX:
        symbol, level = INFIX[name]
        left = operands[0].at_least(level + (level == COMPARISON))
        return Text(f"{left} {symbol} {operands[1].at_least(level + 1)}", level)
    if name == "pow":
        return Text(f"{operands[0].at_least(POSTFIX)} ** {operands[1].at_least(MINUS)}", POWER)
    if name == "neg":
        return Text(f"-{operands[0].at_least(MINUS)}", MINUS)
    if name == "transpose" and tuple(node.attrs["axes"]) == tuple(reversed(range(node.rank))):
        return Text(f"{operands[0].at_least(POSTFIX)}.T", POSTFIX)
    word = WORDS[name]
    pattern = word if isinstance(word, str) else word(node)
    binds = PRODUCT if pattern.startswith("1 /") else operands[0].binds if pattern == "{0}" else ATOM
    texts = [t.at_least(MINUS) if pattern.startswith("1 /") else t.text for t in operands]
    shown = pattern.replace("{0!p}", operands[0].at_least(POSTFIX) if operands else "").replace(
        "{all}", ", ".join(texts)
    )
    for i, text in enumerate(texts):
        shown = shown.replace(f"{{{i}}}", text)
    return Text(shown, binds)


# Helpers are the engine's own kernels, with np in place of the parameter for the array library.

_KERNELS: dict[str, Callable[..., Any]] = {
    "_recip": kernels.recip_kernel, "_divide_no_nan": kernels.divide_no_nan_kernel, "_xlogy": kernels.xlogy_kernel,
    "_elu": kernels.elu_kernel, "_leaky_relu": kernels.leaky_relu_kernel, "_sigmoid": kernels.sigmoid_kernel,
    "_softplus": kernels.softplus_kernel, "_erf": kernels.erf_kernel, "_norm": kernels.norm_kernel,
    "_logsumexp": kernels.logsumexp_kernel, "_softmax": kernels.softmax_kernel, "_log_softmax": kernels.log_softmax_kernel,
    "_cumulative": kernels.cumulative_kernel, "_cofactor": linear_algebra.cofactor_kernel,
    "_logdet": linear_algebra.logdet_kernel, "_cholesky": linear_algebra.cholesky_kernel,
    "_embed": linear_algebra.embed_kernel, "_diagonal_view": slicing.diagonal_view, "_expand": slicing.expand_kernel,
    "_scatter_add": slicing.scatter_kernel, "_erfc": special.erfc_kernel, "_erfcx": special.erfcx_kernel,
    "_log_ndtr": special.log_ndtr_kernel, "_log_cosh": special.log_cosh_kernel, "_sinc": special.sinc_kernel,
}  # fmt: skip

_NEEDS = {"_expand": ["_diagonal_view"], "_log_ndtr": ["_erfc", "_erfcx"]}
"""The helpers that a helper calls."""


def helpers(text: str) -> list[str]:
    """The sources of the helpers that a text calls, each a function of its own."""
    wanted = [name for name in _KERNELS if f"{name}(" in text]
    wanted += [other for name in wanted for other in _NEEDS.get(name, ())]
    return [_source(name, _KERNELS[name]) for name in sorted(set(wanted))]


class _Plain(ast.NodeTransformer):
    """A kernel without its annotations, and with np for its parameter xp."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.args.args = [ast.arg(a.arg) for a in node.args.args if a.arg != "xp"]
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.Name:
        called = {kernel.__name__: name for name, kernel in _KERNELS.items()}
        return ast.Name("np" if node.id == "xp" else called.get(node.id, node.id), node.ctx)

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        node.args = [a for a in node.args if not (isinstance(a, ast.Name) and a.id == "np")]
        return node


def _source(name: str, kernel: Callable[..., Any]) -> str:
    tree = _Plain().visit(ast.parse(dedent(inspect.getsource(kernel))))
    tree.body[0].name = name
    return ast.unparse(ast.fix_missing_locations(tree))

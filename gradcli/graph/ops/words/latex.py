"""How LaTeX writes each operation: one entry an operation, as a text with the operands in it, or a function of the node."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradcli.graph.node import Node
from gradcli.graph.printing import equation, items_text

LOGIC, NOT, COMPARISON, SUM, ENTRYWISE, PRODUCT, MINUS, POWER, POSTFIX, ATOM = range(10)
"""How tightly a text binds, loosest first: a product entry by entry is looser than one of matrices or with numbers."""

INFIX = {
    "add": ("+", SUM), "subtract": ("-", SUM), "less": ("<", COMPARISON), "less_equal": (r"\le", COMPARISON),
    "greater": (">", COMPARISON), "greater_equal": (r"\ge", COMPARISON), "equal": ("=", COMPARISON),
    "not_equal": (r"\ne", COMPARISON), "logical_and": (r"\land", LOGIC), "logical_or": (r"\lor", LOGIC),
}  # fmt: skip

Word = str | Callable[[Node], str]
"""``<0>`` and ``<1>`` are operands, ``<all>`` all of them between commas, ``<0!>`` one in parentheses where it is not an atom."""


def _functions(names: str) -> dict[str, Word]:
    return {name: rf"\{name}\left(<0>\right)" for name in names.split()}


def _operators(names: str) -> dict[str, Word]:
    return {name: operator(name) + r"\left(<all>\right)" for name in names.split()}


def operator(name: str) -> str:
    """A name in upright letters, spaced as a function."""
    return r"\operatorname{" + name.replace("_", r"\_") + "}"


def _over_axes(word: str) -> Callable[[Node], str]:
    def text(node: Node) -> str:
        axes = tuple(node.attrs["axis"])
        below = "" if axes == tuple(range(node.inputs[0].rank)) else rf"_{{\text{{axis }} {', '.join(map(str, axes))}}}"
        return rf"{word}{below}\left(<0>\right)"

    return text


def _along(name: str) -> Callable[[Node], str]:
    return lambda node: rf"{operator(name)}_{{\text{{axis }} {node.attrs['axis']}}}\left(<all>\right)"


def _norm(node: Node) -> str:
    axes = tuple(node.attrs["axis"])
    below = "" if axes == tuple(range(node.inputs[0].rank)) else rf"_{{\text{{axis }} {', '.join(map(str, axes))}}}"
    return rf"\left\lVert <0> \right\rVert{below}"


def sizes(shape: Sequence[int]) -> str:
    r"""A shape as 2 \times 3; nothing for a scalar."""
    return r" \times ".join(map(str, shape))


def _full(node: Node) -> str:
    ones = rf"\mathbf{{1}}_{{{sizes(node.shape)}}}"
    return f"<0!> \\, {ones}" if not node.inputs[0].shape else operator("broadcast") + r"\left(<0>\right)"


def _index(node: Node) -> str:
    shown = items_text(node.attrs["items"], node.inputs[0].shape, r"\text{new}").replace(":", r"\mathbin{:}")
    return rf"<0!>\left[{shown}\right]"


def _pad(node: Node) -> str:
    """With the entries before and after on each axis."""
    pairs = [(start, n - stop) for (start, stop, _), n in zip(node.attrs["items"], node.attrs["shape"], strict=True)]
    return rf"{operator('pad')}_{{{', '.join(map(str, pairs))}}}\left(<0>\right)"


def _stack(node: Node) -> str:
    columns = node.rank == 2 and node.attrs["axis"] == 1
    between = " & " if columns or node.rank == 1 else r" \\ "
    part = r"<{}!>^{{\top}}" if columns else "<{}>"
    return r"\begin{bmatrix} " + between.join([part.format(i) for i in range(len(node.inputs))]) + r" \end{bmatrix}"


def _concat(node: Node) -> str:
    between = r" \\ " if node.attrs["axis"] == 0 and node.rank > 1 else " & "
    return r"\begin{bmatrix} " + between.join(f"<{i}>" for i in range(len(node.inputs))) + r" \end{bmatrix}"


def _random(letter: str, first: str, second: str) -> Callable[[Node], str]:
    def text(node: Node) -> str:
        shown = "<0>, <1>" if node.inputs else f"{node.attrs[first]}, {node.attrs[second]}"
        return rf"\mathcal{{{letter}}}\left({shown}\right)"

    return text


def _where(node: Node) -> str:
    return r"\begin{cases} <1> & \text{if } <0> \\ <2> & \text{otherwise} \end{cases}"


def _spread(node: Node) -> str:
    return rf"{operator('reshape')}_{{{sizes(node.shape) or '1'}}}\left(<0>\right)"


def _made(digit: str) -> Callable[[Node], str]:
    return lambda node: rf"\mathbf{{{digit}}}_{{{sizes(node.shape)}}}" if node.shape else digit


def _derivative(name: str) -> Callable[[Node], str]:
    """A function whose ``order`` says which derivative of it is meant."""

    def word(node: Node) -> str:
        order = node.attrs["order"]
        return operator(name) + (f"^{{({order})}}" if order else "") + r"\left(<0>\right)"

    return word


def _rise(node: Node) -> str:
    psi = r"\psi" + (f"^{{({node.attrs['n']})}}" if node.attrs["n"] else "")
    return rf"\left({psi}\left(<0> + <1>\right) - {psi}\left(<0>\right)\right)"


def _bessel_ie(node: Node) -> str:
    """Of an argument x: (e^(-|x|) I_n(x))', with as many strokes as the order."""
    order = node.attrs["order"]
    plain = rf"e^{{-\left\lvert <0> \right\rvert}} I_{{{node.attrs['n']}}}\left(<0>\right)"
    return rf"\left({plain}\right)^{{({order})}}" if order else rf"\left({plain}\right)"


WORDS: dict[str, Word] = {
    **_functions("log sin cos tan sinh cosh tanh"),
    "asin": r"\arcsin\left(<0>\right)", "acos": r"\arccos\left(<0>\right)", "atan": r"\arctan\left(<0>\right)",
    "asinh": operator("arsinh") + r"\left(<0>\right)", "acosh": operator("arcosh") + r"\left(<0>\right)",
    "atanh": operator("artanh") + r"\left(<0>\right)",
    **_operators("atan2 multiply_no_nan hypot erf erfc softplus relu leaky_relu elu sign round trunc mod xlogy isinf isnan isfinite "
                 "sort argsort searchsorted ravel_multi_index argcummax argcummin roll flip tril triu take_along scatter_along"),
    "log_ndtr": r"\log\Phi\left(<0>\right)", "log_cosh": r"\log\cosh\left(<0>\right)",
    "lgamma": r"\log\left\lvert \Gamma\left(<0>\right) \right\rvert", "digamma": r"\psi\left(<0>\right)",
    "gamma": r"\Gamma\left(<0>\right)", "digamma_rise": _rise, "lbeta": r"\log" + operator("B") + r"\left(<all>\right)",
    "gamma_density": r"\frac{<1!>^{<0> - 1} e^{-<1!>}}{\Gamma\left(<0>\right)}",
    "beta_density": r"\frac{<2!>^{<0> - 1} \left(1 - <2!>\right)^{<1> - 1}}{" + operator("B") + r"\left(<0>, <1>\right)}",
    "gammainc": r"P\left(<0>, <1>\right)", "gammaincc": r"Q\left(<0>, <1>\right)", "betainc": r"I_{<2>}\left(<0>, <1>\right)",
    "ndtri": r"\Phi^{-1}\left(<0>\right)", "erfinv": operator("erf") + r"^{-1}\left(<0>\right)",
    "bessel_j": lambda node: rf"J_{{{node.attrs['n']}}}\left(<0>\right)", "bessel_ie": _bessel_ie,
    "polygamma": lambda node: rf"\psi^{{({node.attrs['n']})}}\left(<0>\right)",
    "erfcx": _derivative("erfcx"), "sinc": _derivative("sinc"),
    "exp": "e^{<0>}", "expm1": r"e^{<0>} - 1", "exp2": "2^{<0>}", "log1p": r"\log\left(1 + <0>\right)",
    "log2": r"\log_{2}\left(<0>\right)", "log10": r"\log_{10}\left(<0>\right)", "sqrt": r"\sqrt{<0>}",
    "rsqrt": r"\frac{1}{\sqrt{<0>}}", "cbrt": r"\sqrt[3]{<0>}", "square": "<0!>^{2}", "abs": r"\left\lvert <0> \right\rvert",
    "sigmoid": r"\sigma\left(<0>\right)", "floor": r"\left\lfloor <0> \right\rfloor", "ceil": r"\left\lceil <0> \right\rceil",
    "floor_divide": r"\left\lfloor \frac{<0>}{<1>} \right\rfloor", "recip": r"\frac{1}{<0>}", "recip_no_nan": r"\frac{1}{<0>}",
    "divide": r"\frac{<0>}{<1>}", "divide_no_nan": r"\frac{<0>}{<1>}", "link": "0", "zero": "0", "products": "<all>",
    "maximum": r"\max\left(<all>\right)", "minimum": r"\min\left(<all>\right)", "where": _where,
    "custom_gradient": "<0>", "identity": "<0>", "cast": "<0>", "stop_gradient": operator("stop") + r"\left(<0>\right)",
    "sum": _over_axes(r"\sum"), "prod": _over_axes(r"\prod"), "max": _over_axes(r"\max"), "min": _over_axes(r"\min"),
    "mean": _over_axes(operator("mean")), "any": _over_axes(r"\bigvee"), "all": _over_axes(r"\bigwedge"), "norm": _norm,
    "logsumexp": _over_axes(operator("logsumexp")), "argmax": _along("argmax"), "argmin": _along("argmin"),
    "cumsum": _along("cumsum"), "cumprod": _along("cumprod"), "softmax": operator("softmax") + r"\left(<0>\right)",
    "log_softmax": r"\log" + operator("softmax") + r"\left(<0>\right)",
    "contraction": lambda node: operator("einsum") + rf"_{{\text{{{equation(node)}}}}}\left(<all>\right)",
    "diagonal": operator("diag") + r"\left(<0>\right)", "embed_diagonal": operator("diag") + r"\left(<0>\right)",
    "expand_delta": operator("diag") + r"\left(<0>\right)", "collect_delta": operator("diag") + r"\left(<0>\right)",
    **_operators("spectral singular_function eigvalsh eigenvectors reciprocal_gaps svdvals singular_vectors orthonormal"), "pinv": "<0!>^{+}",
    "detsign": operator("sign") + r"\det\left(<0>\right)", "logabsdet": r"\log\left\lvert \det\left(<0>\right) \right\rvert",
    "expm": r"\exp\left(<0>\right)", "expm_frechet": r"D\exp\left(<0>\right)\left[<1>\right]", "inv": "<0!>^{-1}", "det": r"\det\left(<0>\right)", "logdet": r"\log \det\left(<0>\right)", "solve": "<0!>^{-1} <1!>",
    "cholesky": operator("chol") + r"\left(<0>\right)", "cofactor": operator("cof") + r"\left(<0>\right)", "completion": operator("completion") + r"\left(<0>\right)",
    "reshape": _spread, "broadcast_to": _full, "transpose": r"<0!>^{\top}", "concat": _concat, "stack": _stack,
    "unindex": _pad, "index": _index, "gather": r"<0!>\left[<1>\right]",
    "scatter_add": operator("scatter") + r"_{<1>}\left(<0>\right)", "one_hot": operator("onehot") + r"\left(<0>\right)",
    "zeros": _made("0"), "ones": _made("1"), "zeros_like": "0", "ones_like": "1",
    "eye": lambda node: f"I_{{{node.shape[0]}}}",
    "arange": lambda node: rf"\left({node.attrs['start']}, \dots, {node.attrs['stop']}\right)",
    "linspace": lambda node: rf"\left({node.attrs['start']}, \dots, {node.attrs['stop']}\right)",
    "random_normal": _random("N", "mean", "stddev"), "random_uniform": _random("U", "minval", "maxval"),
}  # fmt: skip
"""Every operation that has a kernel, but for sums, products, powers, signs and numbers."""

WRITTEN_ELSEWHERE = {"pow", "neg", "literal", "array", "leaf", "multiply", "matmul", "logical_not", *INFIX}

BINDS = {
    "pinv": POWER, "exp": POWER, "expm1": SUM, "exp2": POWER, "rsqrt": POWER, "square": POWER, "recip": POWER, "divide": POWER,
    "divide_no_nan": POWER, "solve": PRODUCT, "inv": POWER, "transpose": POWER, "broadcast_to": PRODUCT, "where": POSTFIX, "index": POSTFIX,
}  # fmt: skip
"""How tightly a word binds where it is not an atom; a fraction needs no parentheses as a factor, but as a base it does."""

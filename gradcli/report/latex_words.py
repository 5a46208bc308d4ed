"""How LaTeX writes each operation: one entry an operation, as a text with the operands in it, or a function of the node."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from gradcli.graph.node import Node, cone
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.printing import Text, equation, items_text
from gradcli.graph.types import size_of
from gradcli.report.quoting import latex_text

LOGIC, NOT, COMPARISON, SUM, ENTRYWISE, PRODUCT, MINUS, POWER, POSTFIX, ATOM = range(10)
"""How tightly a text binds, loosest first: a product entry by entry is looser than one of matrices or with numbers."""

INFIX = {
    "add": ("+", SUM), "subtract": ("-", SUM), "less": ("<", COMPARISON), "less_equal": (r"\le", COMPARISON),
    "greater": (">", COMPARISON), "greater_equal": (r"\ge", COMPARISON), "equal": ("=", COMPARISON),
    "not_equal": (r"\ne", COMPARISON), "logical_and": (r"\land", LOGIC), "logical_or": (r"\lor", LOGIC),
}  # fmt: skip

Word = str | Callable[[Node], str]
"""``<0>`` and ``<1>`` are operands, ``<all>`` all of them between commas, ``<0!>`` one in parentheses where it is no atom."""

MOST_ENTRIES = 36
"""Entries up to which an array is written out."""


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
    between = " & " if len(node.shape) == 1 else r" \\ "
    return r"\begin{bmatrix} " + between.join(f"<{i}>" for i in range(len(node.inputs))) + r" \end{bmatrix}"


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


WORDS: dict[str, Word] = {
    **_functions("log sin cos tan sinh cosh tanh"),
    "asin": r"\arcsin\left(<0>\right)", "acos": r"\arccos\left(<0>\right)", "atan": r"\arctan\left(<0>\right)",
    "asinh": operator("arsinh") + r"\left(<0>\right)", "acosh": operator("arcosh") + r"\left(<0>\right)",
    "atanh": operator("artanh") + r"\left(<0>\right)",
    **_operators("atan2 multiply_no_nan hypot erf erfc softplus relu leaky_relu elu sign round trunc mod xlogy isnan isfinite "
                 "sort argsort roll flip tril triu take_along scatter_along"),
    "log_ndtr": r"\log\Phi\left(<0>\right)", "log_cosh": r"\log\cosh\left(<0>\right)",
    "erfcx": _derivative("erfcx"), "sinc": _derivative("sinc"),
    "exp": "e^{<0>}", "expm1": r"e^{<0>} - 1", "exp2": "2^{<0>}", "log1p": r"\log\left(1 + <0>\right)",
    "log2": r"\log_{2}\left(<0>\right)", "log10": r"\log_{10}\left(<0>\right)", "sqrt": r"\sqrt{<0>}",
    "rsqrt": r"\frac{1}{\sqrt{<0>}}", "cbrt": r"\sqrt[3]{<0>}", "square": "<0!>^{2}", "abs": r"\left\lvert <0> \right\rvert",
    "sigmoid": r"\sigma\left(<0>\right)", "floor": r"\left\lfloor <0> \right\rfloor", "ceil": r"\left\lceil <0> \right\rceil",
    "floor_divide": r"\left\lfloor \frac{<0>}{<1>} \right\rfloor", "recip": r"\frac{1}{<0>}", "recip_no_nan": r"\frac{1}{<0>}",
    "divide": r"\frac{<0>}{<1>}", "divide_no_nan": r"\frac{<0>}{<1>}", "link": "0", "zero": "0", "products": "<all>",
    "maximum": r"\max\left(<all>\right)", "minimum": r"\min\left(<all>\right)", "where": _where,
    "identity": "<0>", "cast": "<0>", "stop_gradient": operator("stop") + r"\left(<0>\right)",
    "sum": _over_axes(r"\sum"), "prod": _over_axes(r"\prod"), "max": _over_axes(r"\max"), "min": _over_axes(r"\min"),
    "mean": _over_axes(operator("mean")), "any": _over_axes(r"\bigvee"), "all": _over_axes(r"\bigwedge"), "norm": _norm,
    "logsumexp": _over_axes(operator("logsumexp")), "argmax": _along("argmax"), "argmin": _along("argmin"),
    "cumsum": _along("cumsum"), "cumprod": _along("cumprod"), "softmax": operator("softmax") + r"\left(<0>\right)",
    "log_softmax": r"\log" + operator("softmax") + r"\left(<0>\right)",
    "contraction": lambda node: operator("einsum") + rf"_{{\text{{{equation(node)}}}}}\left(<all>\right)",
    "diagonal": operator("diag") + r"\left(<0>\right)", "embed_diagonal": operator("diag") + r"\left(<0>\right)",
    "expand_delta": operator("diag") + r"\left(<0>\right)", "collect_delta": operator("diag") + r"\left(<0>\right)",
    "inv": "<0!>^{-1}", "det": r"\det\left(<0>\right)", "logdet": r"\log \det\left(<0>\right)", "solve": "<0!>^{-1} <1!>",
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

_BINDS = {
    "exp": POWER, "expm1": SUM, "exp2": POWER, "rsqrt": POWER, "square": POWER, "recip": POWER, "divide": POWER,
    "divide_no_nan": POWER, "solve": PRODUCT, "inv": POWER, "transpose": POWER, "broadcast_to": PRODUCT, "where": POSTFIX, "index": POSTFIX,
}  # fmt: skip
"""How tightly a word binds where it is no atom; a fraction needs no parentheses as a factor, but as a base it does."""

_POWERS = re.compile(r"(\\(?:sin|cos|tan|sinh|cosh|tanh|log|operatorname\{\w+\}))(\\left\(.*)", re.DOTALL)


def at_least(text: Text, binds: int) -> str:
    """In parentheses where it binds more loosely than is needed."""
    return text.text if text.binds >= binds else rf"\left({text.text}\right)"


def apply(node: Node, operands: Sequence[Text]) -> Text:
    """The text of one node in LaTeX, given those of its inputs."""
    name = node.op.name
    if name in INFIX:
        symbol, level = INFIX[name]
        left = at_least(operands[0], level if level == SUM else level + 1)
        return Text(f"{left} {symbol} {at_least(operands[1], level + 1)}", level)
    if name in ("multiply", "matmul"):
        return _product(node, operands)
    if name == "pow":
        return _power(node, operands)
    if name == "neg":
        return Text(f"-{at_least(operands[0], PRODUCT)}", PRODUCT if operands[0].binds == PRODUCT else MINUS)
    if name == "logical_not":
        return Text(rf"\lnot {at_least(operands[0], NOT)}", NOT)
    if node.op.written is not None:
        return _in_words(node, operands)
    word = WORDS[name]
    pattern = word if isinstance(word, str) else word(node)
    if pattern == "<0>":
        return operands[0]
    return Text(_filled(pattern, operands), _BINDS.get(name, ATOM))


def _in_words(node: Node, operands: Sequence[Text]) -> Text:
    """An operation that only derivatives use, as a formula of the inputs that it is differentiated by."""
    stand_ins = [make_leaf("x", "variable", x.shape, x.dtype, False) for x in node.inputs]
    formula = node.op.plain or node.op.written
    assert formula is not None
    root = formula(node.with_inputs(tuple(stand_ins)), *stand_ins)
    texts = dict(zip(stand_ins, operands, strict=True))
    for x in cone([root], stop=stand_ins):
        if x.op.name == "literal":
            texts[x] = number(x.attrs["value"])
        elif x not in texts:
            texts[x] = apply(x, [texts[i] for i in x.inputs])
    return texts[root]


def _filled(pattern: str, operands: Sequence[Text]) -> str:
    def operand(match: re.Match[str]) -> str:
        if match[1] == "all":
            return ", ".join(t.text for t in operands)
        text = operands[int(match[1])]
        return at_least(text, POSTFIX) if match[2] else text.text

    return re.sub(r"<(\d|all)(!?)>", operand, pattern)


def _product(node: Node, operands: Sequence[Text]) -> Text:
    """Side by side; a circle between arrays that are multiplied entry by entry, a dot before a digit."""
    a, b = node.inputs
    matrices = node.op.name == "matmul"
    level = PRODUCT if matrices or size_of(a.shape) == 1 or size_of(b.shape) == 1 else ENTRYWISE
    left, right = at_least(operands[0], level), at_least(operands[1], level)
    if right.startswith("-"):
        right = rf"\left({right}\right)"
    if matrices and a.rank == b.rank == 1:
        left = at_least(operands[0], POSTFIX) + r"^{\top}"
    between = r" \, " if r"\mathrm" in left + right else " "
    if level == ENTRYWISE:
        between = r" \odot "
    elif right[:1].isdigit() or right.startswith(r"\frac{1"):
        between = r" \cdot "
    return Text(f"{left}{between}{right}", level)


def _power(node: Node, operands: Sequence[Text]) -> Text:
    base, exponent = operands
    match = _POWERS.fullmatch(base.text)
    if match and base.binds == ATOM and exponent.text.isdigit():
        return Text(f"{match[1]}^{{{exponent.text}}}{match[2]}", POWER)
    return Text(f"{at_least(base, POSTFIX)}^{{{exponent.text}}}", POWER)


GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi", "pi",
    "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma",
    "Upsilon", "Phi", "Psi", "Omega",
}  # fmt: skip


def _ascii(letter: str) -> str:
    """The name of a Greek letter: λ is lambda."""
    kind, _, word = unicodedata.name(letter, "").rpartition(" ")
    word = word.lower().replace("lamda", "lambda")
    if kind not in ("GREEK SMALL LETTER", "GREEK CAPITAL LETTER"):
        return letter
    word = word.capitalize() if "CAPITAL" in kind else word
    return word if word in GREEK else letter


def symbol(name: str) -> str:
    r"""A name as a symbol: x, W_{1}, \sigma, \mathrm{loss}, u_{t}; what is no letter of LaTeX as text."""
    if not name.isascii():
        name = "".join(_ascii(c) for c in name)
    if not name.isascii():
        return rf"\text{{{latex_text(name)}}}"
    head, _, below = name.strip("_").partition("_")
    match = re.fullmatch(r"([A-Za-z]+?)(\d*)", head)
    if match is None:
        return rf"\mathrm{{{name.replace('_', chr(92) + '_')}}}"
    letters, digits = match.groups()
    shown = letters if len(letters) == 1 else "\\" + letters if letters in GREEK else rf"\mathrm{{{letters}}}"
    parts = [digits] if digits else []
    parts += [p if len(p) == 1 or p.isdigit() else rf"\mathrm{{{p}}}" for p in below.split("_") if p]
    return f"{shown}_{{{', '.join(parts)}}}" if parts else shown


def number(value: float | int | bool) -> Text:
    r"""A number as a person would write it: 2, \frac{1}{3}, 2.5 \cdot 10^{-7}, \infty."""
    if isinstance(value, bool):
        return Text(r"\text{true}" if value else r"\text{false}")
    if value < 0:
        return Text("-" + number(-value).text, MINUS)
    if value != value or value - value != 0:
        return Text(r"\mathrm{NaN}" if value != value else r"\infty")
    if value == int(value) and value < 1e6:
        return Text(str(int(value)))
    part = Fraction(value).limit_denominator(1000)
    if len(repr(value)) > 6 and part.numerator and abs(part.numerator / part.denominator - value) <= 4e-16 * value:
        return Text(rf"\frac{{{part.numerator}}}{{{part.denominator}}}", POWER)
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return Text(mantissa)
    power = f"10^{{{int(exponent)}}}"
    return Text(power if mantissa == "1" else rf"{mantissa} \cdot {power}", PRODUCT)


def matrix(values: Any) -> str:
    """An array of numbers as a matrix, or its shape where it is large or of more than two axes."""
    if values.ndim > 2 or values.size > MOST_ENTRIES or not values.size:
        return rf"\text{{array of }} {sizes(values.shape)}"
    rows = values.tolist() if values.ndim == 2 else [values.tolist()]
    body = r" \\ ".join(" & ".join(number(entry).text for entry in row) for row in rows)
    return rf"\begin{{bmatrix}} {body} \end{{bmatrix}}"

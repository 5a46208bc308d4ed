"""Nodes, names, numbers and arrays as LaTeX, from the words of each operation."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from gradcli.graph.node import Node, cone
from gradcli.graph.ops.creation import in_words
from gradcli.graph.ops.ruled import no_words, solution
from gradcli.graph.ops.words.latex import (
    ATOM,
    BINDS,
    ENTRYWISE,
    INFIX,
    MINUS,
    NOT,
    POSTFIX,
    POWER,
    PRODUCT,
    SUM,
    WORDS,
    sizes,
)
from gradcli.graph.printing import Text
from gradcli.graph.types import size_of
from gradcli.report.quoting import latex_text

MOST_ENTRIES = 36
"""Entries up to which an array is written out."""

_SYMBOL = re.compile(r"\\?[A-Za-z]+(_\{[^{}]*\})?(\^\{\d+\})?")
"""A symbol, or a power of one."""

_FUNCTION = re.compile(r"(-?(?:[\d.]+ |\\frac\{\d+\}\{\d+\} )?)(\\[a-zA-Z]+\S*\\left\(.*\\right\))", re.DOTALL)
"""Words that begin and end as a function does, which stands behind symbols."""

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
        loose = name == "add" and not operands[1].text.startswith("-")  # a + (b + c) is a + b + c
        return Text(f"{left} {symbol} {at_least(operands[1], level + (not loose))}", level)
    if name in ("multiply", "matmul"):
        return _product(node, operands)
    if name == "pow":
        return _power(node, operands)
    if name == "exp":
        return _exponential(operands[0])
    if name == "index":
        return _indexed(node, operands[0])
    if name == "neg":
        return Text(f"-{at_least(operands[0], PRODUCT)}", PRODUCT if operands[0].binds == PRODUCT else MINUS)
    if name == "logical_not":
        return Text(rf"\lnot {at_least(operands[0], NOT)}", NOT)
    if node.op.written is not None:
        return _in_words(node, operands)
    if node.op is solution:
        raise no_words(node, "LaTeX")
    word = WORDS[name]
    pattern = word if isinstance(word, str) else word(node)
    if pattern == "<0>":
        return operands[0]
    if name == "stack" and node.rank == 2 and node.attrs["axis"] == 0:
        operands = [Text(_row(text.text)) for text in operands]
    return Text(_filled(pattern, operands), BINDS.get(name, ATOM))


def _in_words(node: Node, operands: Sequence[Text]) -> Text:
    """An operation that only derivatives use, as a formula of the inputs that it is differentiated by."""
    root, stand_ins = in_words(node)
    texts = dict(zip(stand_ins, operands, strict=True))
    for x in cone([root], stop=stand_ins):
        if x.op.name == "literal":
            texts[x] = number(x.attrs["value"])
        elif x not in texts:
            texts[x] = apply(x, [texts[i] for i in x.inputs])
    return texts[root]


def _row(text: str) -> str:
    """The entries of a vector that is written out, as a row of a matrix."""
    opening, closing = r"\begin{bmatrix} ", r" \end{bmatrix}"
    inner = text.removeprefix(opening).removesuffix(closing)
    return inner if text == opening + inner + closing and "bmatrix" not in inner else text


def _filled(pattern: str, operands: Sequence[Text]) -> str:
    def operand(match: re.Match[str]) -> str:
        if match[1] == "all":
            return ", ".join(t.text for t in operands)
        text = operands[int(match[1])]
        return at_least(text, POSTFIX) if match[2] else text.text

    return re.sub(r"<(\d+|all)(!?)>", operand, pattern)


def _product(node: Node, operands: Sequence[Text]) -> Text:
    """Side by side; a circle between arrays that are multiplied entry by entry, a dot before a digit."""
    a, b = node.inputs
    matrices = node.op.name == "matmul"
    level = PRODUCT if matrices or size_of(a.shape) == 1 or size_of(b.shape) == 1 else ENTRYWISE
    left, right = at_least(operands[0], level), at_least(operands[1], level)
    match = None if matrices else _FUNCTION.fullmatch(left)
    if match is not None and _SYMBOL.fullmatch(right):
        left, right = match[1] + right, match[2]
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


LONGEST_EXPONENT = 12
"""Letters and signs up to which an exponent is short enough to be raised."""


def _exponential(x: Text) -> Text:
    r"""e^{x} of what is short, else \exp(x)."""
    length = len(re.sub(r"\\left|\\right|\\[A-Za-z]+|[{}_^\\ ]", "", x.text))
    if length <= LONGEST_EXPONENT and r"\frac" not in x.text and r"\begin" not in x.text:
        return Text(f"e^{{{x.text}}}", POWER)
    return Text(rf"\exp\left({x.text}\right)")


def _indexed(node: Node, x: Text) -> Text:
    """Entries, rows and columns by indices below; other parts in brackets behind."""
    items, shape = node.attrs["items"], node.inputs[0].shape
    full = [isinstance(i, tuple) and (*i,) == (0, n, 1) for i, n in zip(items, shape, strict=False)]
    if any(not isinstance(i, int) and not whole for i, whole in zip(items, full, strict=True)) or not re.fullmatch(
        r"\\?[A-Za-z]+|\\mathrm\{[A-Za-z]+\}", x.text
    ):
        pattern = WORDS["index"]
        assert callable(pattern)
        return Text(_filled(pattern(node), [x]), POSTFIX)
    places = [str(i) if isinstance(i, int) else ":" for i in items] + [":"] * (len(shape) - len(items))
    return Text(f"{x.text}_{{{', '.join(places)}}}", POSTFIX)


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
    r"""A name as a symbol: x, W_{1}, \sigma, \mathrm{loss}, u_{t}; what is not a letter of LaTeX as text."""
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


def indexed(text: str, index: str) -> str:
    r"""A symbol with an index: x_{t}, W_{1, t}."""
    match = re.fullmatch(r"(.*_\{[^{}]*)\}", text, re.DOTALL)
    if match is not None and "\\left" not in match[1]:
        return f"{match[1]}, {index}}}"
    return f"{text}_{{{index}}}"


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
    part = Fraction(value / math.pi).limit_denominator(12)
    if part.numerator and abs(part.numerator) <= 12 and abs(float(part) * math.pi - value) <= 2e-16 * value:
        return _times_pi(part)
    part = Fraction(value).limit_denominator(1000)
    if value in (0.5, 0.25, 0.125):
        return Text(rf"\frac{{1}}{{{part.denominator}}}", POWER)
    if len(repr(value)) > 6 and part.numerator and abs(part.numerator / part.denominator - value) <= 4e-16 * value:
        return Text(rf"\frac{{{part.numerator}}}{{{part.denominator}}}", POWER)
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return Text(mantissa)
    power = f"10^{{{int(exponent)}}}"
    return Text(power if mantissa == "1" else rf"{mantissa} \cdot {power}", PRODUCT)


def _times_pi(part: Fraction) -> Text:
    r"""\pi, 2 \pi, \frac{\pi}{2}."""
    above = r"\pi" if part.numerator == 1 else rf"{part.numerator} \pi"
    if part.denominator == 1:
        return Text(above, ATOM if part.numerator == 1 else PRODUCT)
    return Text(rf"\frac{{{above}}}{{{part.denominator}}}", POWER)


def matrix(values: Any) -> str:
    """An array of numbers as a matrix, or its shape where it is large or of more than two axes."""
    if values.ndim > 2 or values.size > MOST_ENTRIES or not values.size:
        return rf"\text{{array of }} {sizes(values.shape)}"
    rows = values.tolist() if values.ndim == 2 else [values.tolist()]
    body = r" \\ ".join(" & ".join(number(entry).text for entry in row) for row in rows)
    return rf"\begin{{bmatrix}} {body} \end{{bmatrix}}"

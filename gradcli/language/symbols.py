"""Signs of mathematics and of LaTeX whose meaning their place tells: ``|x|``, ``5!``, ``x'``, ``√x``, ``\\frac{x}{2}``."""

from __future__ import annotations

import re

from gradcli.diagnostics import Source

Special = tuple[int, int, str, str | None]
"""The place, what is wrong there, and what to type instead."""

_OPERAND = re.compile(r"\s*([A-Za-z_]\w*(?:\([^()\n]*\))?|[0-9.]+|\([^()\n]*\))")
_ROOTS = {"√": "sqrt", "∛": "cbrt", "∑": "sum", "∏": "prod"}
_BARS = {"|": "abs", "∥": "norm", "‖": "norm"}
_RAISED = {"ᵀ": "T", "⊤": "T", "ᵗ": "T"}
_LONGEST = 60


def special(source: Source, start: int) -> Special | None:
    """What to say of the character at ``start``; None where it is nothing of this sort."""
    text = source.text
    character = text[start]
    if character in _BARS:
        return _bars(text, start)
    if character == "!" and text[start + 1 : start + 2] != "=" and _follows_operand(text, start):
        return _factorial(text, start)
    percent = re.search(r"(?<![\w.])([0-9.]+)$", text[:start]) if character == "%" else None
    if percent and not re.match(r"[%*/\s]*[\w(]", text[start + 1 :]):
        return start, start + 1, "`%` is not an operator here", f"a percentage is `{percent[1]}/100`"
    if character in _ROOTS:
        inner = _OPERAND.match(text, start + 1)
        name = _ROOTS[character]
        shown = inner[1] if inner else "x"
        shown = shown[1:-1] if shown.startswith("(") else shown
        return start, start + 1, f"`{character}` is not part of the language", f"write `{name}({shown})`"
    if character in _RAISED:
        return start, start + 1, f"`{character}` cannot stand in a name or number", "the transpose is `.T`"
    if character == "∫":
        return start, start + 1, "there are no integrals", "a sum over points is `sum(f)*step`"
    if character == "\\":
        return _latex(text, start)
    if character == "$":
        return start, start + 1, "`$` is not part of the language", "leave it out: formulas stand as they are"
    if character in "'′’" and _follows_operand(text, start):
        return prime(source, start)
    raised = re.compile(r"[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+").match(text, start)
    function = re.search(r"([a-z]\w*)$", text[:start])
    after = _OPERAND.match(text, raised.end()) if raised else None
    if raised and function and after and after[1].startswith("(") and len(after[1]) <= _LONGEST:
        power = raised[0].translate(str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "+-0123456789"))
        message = f"`{raised[0]}` cannot stand in a name or number"
        if power == "-1" and function[1] in ("sin", "cos", "tan", "sinh", "cosh", "tanh"):
            return start, raised.end(), message, f"for the inverse function write `a{function[1]}{after[1]}`"
        return start, raised.end(), message, f"write `{function[1]}{after[1]}^{power}`"
    return None


def prime(source: Source, start: int) -> Special:
    """``x'``: a transpose or a derivative."""
    name = re.search(r"([A-Za-z_]\w*)$", source.text[:start])
    shown = name[1] if name else "x"
    call = source.text[start + 1 : start + 2] == "("
    help = f"the derivative of a value y is `gradients(y, x)`{'' if call else f'; the transpose of {shown} is `{shown}.T`'}"
    return start, start + 1, "`'` is not an operator here", help


def in_brackets(text: str, start: int, opening: str = "(", closing: str = ")") -> str | None:
    """What stands in the brackets that open at ``start``, on one line; None if they do not."""
    if text[start : start + 1] != opening:
        return None
    depth = 0
    for at in range(start, min(len(text), start + _LONGEST)):
        depth += (text[at] == opening) - (text[at] == closing)
        if text[at] == "\n":
            return None
        if not depth:
            return text[start + 1 : at].strip()
    return None


def _follows_operand(text: str, start: int) -> bool:
    return start > 0 and (text[start - 1].isalnum() or text[start - 1] in ")]_")


def _bars(text: str, start: int) -> Special | None:
    """A bar where an operand belongs opens ``|x|`` or ``||x||``."""
    before = text[text.rfind("\n", 0, start) + 1 : start].rstrip()
    if before and (before[-1].isalnum() or before[-1] in ")]_'\""):
        return None
    bar = "||" if text.startswith("||", start) else text[start]
    end = text.find(bar, start + len(bar), start + _LONGEST)
    inner = text[start + len(bar) : end].strip() if end > 0 else ""
    if end < 0 or "\n" in inner or not inner:
        return start, start + len(bar), f"`{bar}` is not an operator here", "write `abs(x)` or `norm(x)`"
    name = "norm" if bar == "||" else _BARS[bar]
    return start, end + len(bar), f"`{bar}` is not a bracket here", f"write `{name}({inner})`"


def _factorial(text: str, start: int) -> Special:
    number = re.search(r"(?<![\w.])([0-9]{1,2})$", text[:start])
    if number and int(number[1]) <= 20:
        product = 1
        for factor in range(2, int(number[1]) + 1):
            product *= factor
        return start, start + 1, "`!` is not an operator here", f"for the factorial write `{product}`"
    return (
        start,
        start + 1,
        "`!` is not an operator here",
        "the factorial of a whole number n is `prod(arange(1, n + 1))`",
    )


def _latex(text: str, start: int) -> Special | None:
    from gradcli.language.foreign import LATEX

    word = re.compile(r"\\([A-Za-z]+)").match(text, start)
    if (
        word is None
        or re.search(r"[\w)\]]$", text[:start].rstrip())
        and word[1] not in _COMMANDS
        and word[1] not in LATEX
    ):
        return None
    message = f"`{word[0]}` is LaTeX"
    name = word[1]
    first = in_brackets(text, word.end(), "{", "}")
    if name in ("frac", "dfrac", "tfrac"):
        second = in_brackets(text, word.end() + len(first) + 2, "{", "}") if first is not None else None
        above, below = (_grouped(part) for part in (first or "a", second or "b"))
        return start, word.end(), message, f"write `{above}/{below}`"
    if name in ("left", "right", "mathrm", "text", "operatorname", "mathbf", "vec", "hat", "quad", "displaystyle"):
        return start, word.end(), message, "leave it out"
    if name in LATEX:
        return start, word.end(), message, f"write `{LATEX[name]}`"
    if name in _FUNCTIONS:
        inner = first or in_brackets(text, word.end())
        if inner is None and (operand := _OPERAND.match(text, word.end())):
            inner = operand[1]
        return start, word.end(), message, f"write `{name}({inner or 'x'})`"
    return start, word.end(), message, f"write `{name}`"


_FUNCTIONS = ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "log", "sqrt", "max", "min", "det")
_COMMANDS = {*_FUNCTIONS, "frac", "dfrac", "tfrac", "left", "right", "mathrm", "text", "operatorname", "mathbf"}


def _grouped(text: str) -> str:
    return text if re.fullmatch(r"\w+|[0-9.]+", text) else f"({text})"

"""Formulas that have a better spelling: the list of them.

A rule is written in the language itself: a name that is not called stands for any expression, the same one wherever it
occurs; ``axis`` and ``keepdims`` may be absent from the program, and are then left out of the better spelling.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Spelling(NamedTuple):
    """A rule: ``patterns`` are better written as ``better``, because of ``why``; ``code`` names the rule.

    With ``whole`` the rule is for arrays of one axis only, unless an axis is given. With ``matrices`` it is for arrays
    of at most two axes. A ``factor`` is a quotient whose numerator and divisor may stand among others in a product.
    """

    code: str
    patterns: tuple[str, ...]
    better: str
    why: str
    whole: bool = False
    matrices: bool = False
    factor: bool = False


ALONG = "axis=axis, keepdims=keepdims"

_SQUARE = ("{}^2", "square({})", "{0}*{0}")
_SQUARES = tuple(f"sum({square.format('x')}, {ALONG})" for square in _SQUARE)
_TWO_SQUARES = tuple(f"{a.format('x')} + {b.format('y')}" for i, a in enumerate(_SQUARE) for b in _SQUARE[i:])


def _less(part: str, of: str = "1") -> tuple[str, str]:
    """``1 - part``, in either order."""
    return f"{of} - {part}", f"-{part} + {of}"


def _distribution(argument: str) -> tuple[str, ...]:
    """The normal distribution function at sqrt(2) times an argument of erf, as people write it."""
    return (
        f"0.5*(1 + erf({argument}))", f"(1 + erf({argument}))/2", f"0.5 + 0.5*erf({argument})", f"0.5 + erf({argument})/2",
        f"0.5*erfc(-{argument})", f"erfc(-{argument})/2",
    )  # fmt: skip


def _tail(argument: str) -> tuple[str, ...]:
    return (
        f"0.5*(1 - erf({argument}))", f"(1 - erf({argument}))/2", f"0.5 - 0.5*erf({argument})", f"0.5 - erf({argument})/2",
        f"0.5*erfc({argument})", f"erfc({argument})/2",
    )  # fmt: skip


def _logs(formulas: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"log({formula})" for formula in formulas)


_HALVED = ("(x/sqrt(2))", "(x*sqrt(0.5))", "(x/2^0.5)", "(x*0.5^0.5)")
_SCALED = ("(x/(y*sqrt(2)))", "(x/sqrt(2)/y)")

_NORMAL = "erf rounds to -1 or 1 where the distribution function is small"
_SOLVED = "an inverse costs more and loses more digits than a solution"
_TAIL = "it is 0 where erf rounds to 1, and loses digits before"
_DIGITS = "the difference loses the digits of a small x"
_AT_ZERO = "it is NaN at 0, and near 0 its derivatives lose all digits"
_CONSTANT = "at 0 it takes the slopes of the constant, 0, and near 0 its derivatives lose all digits"


def _filled(function: str, value: str) -> tuple[str, ...]:
    """A function with a gap at 0, and its value there put in by hand."""
    return (
        f"where(x == 0, {value}, {function})", f"where(x != 0, {function}, {value})",
        f"where(abs(x) < y, {value}, {function})", f"where(abs(x) <= y, {value}, {function})",
        f"where(abs(x) > y, {function}, {value})", f"where(abs(x) >= y, {function}, {value})",
    )  # fmt: skip


def _gap(functions: Iterable[str], value: str, series: str) -> Spelling:
    """A function with a gap at 0 that no operation fills: near 0 its power series, which is right to 17 digits."""
    first = next(iter(functions))
    return Spelling(
        "filled-gap", tuple(p for f in functions for p in _filled(f, value)),
        f"where(abs(x) < 0.02, {series}, {first})", _CONSTANT,
    )  # fmt: skip


SPELLINGS = (
    Spelling("log-softmax", ("log(softmax(x, axis=axis))",), "log_softmax(x, axis=axis)",
             "it is -inf where softmax rounds to 0"),
    Spelling("log-sigmoid", ("log(sigmoid(x))",), "-softplus(-x)", "it is -inf where sigmoid rounds to 0"),
    Spelling("log-sigmoid", _logs(_less("sigmoid(x)")), "-softplus(x)", "it is -inf where sigmoid rounds to 1"),
    Spelling("softplus", ("log(1 + exp(x))", "log1p(exp(x))"), "softplus(x)", "exp overflows for large x"),
    Spelling("logaddexp", ("log(exp(x) + exp(y))",), "logaddexp(x, y)", "exp overflows for large x or y"),
    Spelling("logsumexp", (f"log(sum(exp(x), {ALONG}))",), f"logsumexp(x, {ALONG})", "exp overflows for large x"),
    Spelling("norm", tuple(f"sqrt({s})" for s in _SQUARES) + tuple(f"{s}^0.5" for s in _SQUARES), f"norm(x, {ALONG})",
             "its gradient is NaN at 0, and the squares may overflow"),
    Spelling("hypot", tuple(f"sqrt({s})" for s in _TWO_SQUARES) + tuple(f"({s})^0.5" for s in _TWO_SQUARES), "hypot(x, y)",
             "its gradient is NaN at 0, and the squares may overflow"),
    Spelling("softmax", ("exp(x)/sum(exp(x), axis=axis, keepdims=true)", "exp(x)/sum(exp(x))"), "softmax(x, axis=axis)",
             "exp overflows for large x", whole=True),
    Spelling("sigmoid", ("1/(1 + exp(-x))", "exp(x)/(1 + exp(x))"), "sigmoid(x)", "exp overflows for large x"),
    Spelling("sigmoid", ("1/(1 + exp(x))",), "sigmoid(-x)", "exp overflows for large x"),
    Spelling("log-ndtr", _logs(f for u in _HALVED for f in _distribution(u)), "log_ndtr(x)", _NORMAL),
    Spelling("log-ndtr", _logs(f for u in _HALVED for f in _tail(u)), "log_ndtr(-x)", _NORMAL),
    Spelling("log-ndtr", _logs(f for u in _SCALED for f in _distribution(u)), "log_ndtr(x/y)", _NORMAL),
    Spelling("log-ndtr", _logs(f for u in _SCALED for f in _tail(u)), "log_ndtr(-x/y)", _NORMAL),
    Spelling("log-ndtr", _logs(_distribution("x")), "log_ndtr(sqrt(2)*x)", _NORMAL),
    Spelling("log-ndtr", _logs(_tail("x")), "log_ndtr(-sqrt(2)*x)", _NORMAL),
    Spelling("log-ndtr", ("log(1 + erf(x))", "log(erfc(-x))"),
             "where(x < -1, log_ndtr(sqrt(2)*x) + log(2), log1p(erf(x)))", _NORMAL),
    Spelling("log-ndtr", (*_logs(_less("erf(x)")), "log(erfc(x))"),
             "where(x > 1, log_ndtr(-sqrt(2)*x) + log(2), log1p(-erf(x)))", _NORMAL),
    Spelling("log-cosh", ("log(cosh(x))", "log((exp(x) + exp(-x))/2)", "log(0.5*(exp(x) + exp(-x)))"), "log_cosh(x)",
             "cosh overflows for large x, and the logarithm loses the digits of a small one"),
    Spelling("logdet", ("log(det(x))",), "logdet(x)", "the determinant of a large matrix overflows or vanishes"),
    Spelling("solve", ("(z @ inv(x)) @ y",), "z @ solve(x, y)", _SOLVED, matrices=True),
    Spelling("solve", ("inv(x) @ y", "dot(inv(x), y)"), "solve(x, y)", _SOLVED, matrices=True),
    Spelling("solve", ("(-inv(x)) @ y",), "-solve(x, y)", _SOLVED, matrices=True),
    Spelling("solve", ("y @ inv(x)", "dot(y, inv(x))"), "solve(x.T, y.T).T", _SOLVED, matrices=True),
    Spelling("log1p", _logs(_less("exp(x)")), "log(-expm1(x))", "it is -inf where exp(x) rounds to 1"),
    Spelling("log1p", ("log(1 + x)",), "log1p(x)", "the sum loses the digits of a small x"),
    Spelling("log1p", _logs(_less("x")), "log1p(-x)", _DIGITS),
    Spelling("erfc", _less("erf(x)"), "erfc(x)", _TAIL),
    Spelling("erfc", _less("0.5*erf(x)", "0.5") + _less("erf(x)/2", "0.5"), "0.5*erfc(x)", _TAIL),
    Spelling("sech", tuple(f for square in _SQUARE for f in _less(square.format("tanh(x)"))),
             "4*sigmoid(2*x)*sigmoid(-2*x)", "it is 0 where tanh rounds to 1, and loses digits before"),
    Spelling("expm1", ("exp(x) - 1", "-1 + exp(x)"), "expm1(x)", _DIGITS),
    Spelling("expm1", _less("exp(x)"), "-expm1(x)", _DIGITS),
    Spelling("sinc", _filled("sin(pi*x)/(pi*x)", "1"), "sinc(x)", _CONSTANT),
    Spelling("sinc", _filled("sin(x)/x", "1"), "sinc(x/pi)", _CONSTANT),
    Spelling("sinc", tuple(p for square in _SQUARE for f in _less("cos(x)")
                           for p in _filled(f"({f})/({square.format('x')})", "0.5")),
             "0.5*square(sinc(x/(2*pi)))", _CONSTANT),
    _gap(("x/expm1(x)", "x/(exp(x) - 1)"), "1", "1 - x/2 + x^2/12 - x^4/720 + x^6/30240"),
    _gap(("expm1(x)/x", "(exp(x) - 1)/x"), "1", "1 + x/2 + x^2/6 + x^3/24 + x^4/120 + x^5/720 + x^6/5040 + x^7/40320"),
    _gap(("log1p(x)/x", "log(1 + x)/x"), "1",
         "1 - x/2 + x^2/3 - x^3/4 + x^4/5 - x^5/6 + x^6/7 - x^7/8 + x^8/9 - x^9/10"),
    _gap(("tanh(x)/x",), "1", "1 - x^2/3 + 2*x^4/15 - 17*x^6/315 + 62*x^8/2835"),
    _gap(("sinh(x)/x",), "1", "1 + x^2/6 + x^4/120 + x^6/5040 + x^8/362880"),
    _gap(("tan(x)/x",), "1", "1 + x^2/3 + 2*x^4/15 + 17*x^6/315 + 62*x^8/2835"),
    _gap(("atan(x)/x",), "1", "1 - x^2/3 + x^4/5 - x^6/7 + x^8/9"),
    _gap(("asin(x)/x",), "1", "1 + x^2/6 + 3*x^4/40 + 5*x^6/112 + 35*x^8/1152"),
    Spelling("sinc", ("sin(pi*x)/(pi*x)",), "sinc(x)", _AT_ZERO),
    Spelling("sinc", ("sin(x)/x",), "sinc(x/pi)", _AT_ZERO, factor=True),
    Spelling("sinc", tuple(f"({f})/({square.format('x')})" for square in _SQUARE for f in _less("cos(x)")),
             "0.5*square(sinc(x/(2*pi)))", _AT_ZERO, factor=True),
    Spelling("sinc", tuple(f"(cos(x) - 1)/({square.format('x')})" for square in _SQUARE),
             "-0.5*square(sinc(x/(2*pi)))", _AT_ZERO, factor=True),
    Spelling("sqrt", ("x^0.5",), "sqrt(x)", "the power is a square root"),
)  # fmt: skip

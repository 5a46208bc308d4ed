"""Functions of textbooks whose derivatives are compared with those of SymPy, and how the lengths of SymPy's were found.

``python tests/features/textbook.py`` in an environment that has SymPy 1.14 (which the project doesn't need) prints
``textbook.json``: for each function and order the characters of ``str(simplify(diff(y, x, order)))``, spaces left out and
``**`` counted as one, with its text. Parameters are positive symbols there, variables real ones.
"""

from __future__ import annotations

import json

FUNCTIONS: dict[str, list[str]] = {
    "calculus": [
        "x^3 - 6*x^2 + 11*x - 6", "x^5/5 - x^3/3", "(x^2 + 1)^3", "(2*x + 1)^4", "x/(x^2 + 1)", "(x - 1)/(x + 1)", "x^2/(1 - x)",
        "1/(x^2 + 1)", "sqrt(x^2 + 1)", "1/sqrt(1 - x^2)", "x*sqrt(x)", "sin(x)*cos(x)", "sin(x)^2", "tan(x)", "x*sin(x)", "sin(x)/x",
        "exp(x)*sin(x)", "exp(-x)*cos(2*x)", "exp(-x^2)", "x^2*exp(-x)", "log(x)", "x*log(x) - x", "log(x)/x", "log(x^2 + 1)",
        "log(x)^2", "2^x", "x^n", "atan(x)", "asin(x)", "sinh(x)", "tanh(x)", "x*atan(x) - log(1 + x^2)/2", "log(sin(x))",
        "exp(sin(x))", "1/(1 + exp(-x))",
    ],
    "densities": [
        "exp(-x^2/2)/sqrt(2*pi)", "exp(-(x - m)^2/(2*s^2))/(s*sqrt(2*pi))", "l*exp(-l*x)", "1/(pi*(1 + x^2))",
        "x*exp(-x^2/(2*s^2))/s^2", "exp(-x)/(1 + exp(-x))^2", "a*b^a/x^(a + 1)", "x*exp(-x)", "-(x - m)^2/(2*s^2) - log(s)",
    ],
    "physics": [
        "4*e*((s/r)^12 - (s/r)^6)", "k*q/r", "k*x^2/2", "D*(1 - exp(-a*(r - b)))^2", "-G*M/r + L^2/(2*r^2)", "g*exp(-m*r)/r",
        "1 - cos(x)", "A*exp(-c*t)*cos(w*t)", "v*t - g*t^2/2", "1/sqrt(1 - v^2/c^2)", "x^4/4 - x^2/2", "h*f^3/(exp(h*f/T) - 1)",
    ],
    "chemistry": ["A*exp(-E/(R*T))", "V*S/(K + S)", "S^n/(K^n + S^n)", "R*T/(V - b) - a/V^2", "x*log(x) + (1 - x)*log(1 - x)"],
    "finance": ["C/(1 + r)^10", "P*exp(r*t)", "log(S/K)", "P*r/(1 - (1 + r)^(-12))"],
}  # fmt: skip
"""By field. The variable is the first of VARIABLES that occurs, the other names are parameters."""

VARIABLES = ["x", "r", "t", "S", "V", "T", "v", "f"]
CONSTANTS = {"n": 3.0}
POINTS = [0.3, 0.45, 0.6, 0.75, 0.85]
ORDERS = (1, 2, 3)


def names_in(y: str) -> list[str]:
    """The names of variables and parameters in a function."""
    import re

    return list(dict.fromkeys(name for name in re.findall(r"\b[A-Za-z]\b", y)))


def variable_of(y: str) -> str:
    """The name that a function is differentiated by."""
    names = names_in(y)
    return next(name for name in VARIABLES if name in names)


def visible(text: str) -> int:
    """The characters of a formula, without spaces and with one sign for a power."""
    return len(text.replace(" ", "").replace("**", "^"))


def lengths() -> dict[str, list[tuple[int, str]]]:
    """What SymPy makes of the derivatives."""
    import sympy

    found: dict[str, list[tuple[int, str]]] = {}
    for y in [y for some in FUNCTIONS.values() for y in some]:
        x = variable_of(y)
        known = {name: sympy.Symbol(name, positive=True) for name in names_in(y)}
        known[x] = sympy.Symbol(x, real=True)
        expression = sympy.sympify(y.replace("^", "**"), {**known})
        texts = [str(sympy.simplify(sympy.diff(expression, known[x], order))) for order in ORDERS]
        found[y] = [(visible(text), text) for text in texts]
    return found


if __name__ == "__main__":
    print(json.dumps(lengths(), indent=1))

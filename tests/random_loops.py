"""Random programs with loops: states, rows, conditions, derivatives inside."""

from __future__ import annotations

import random
import re

SCALARS = [
    "{a}*{b}", "{a} + 0.5*{b}", "sin({a})", "tanh({a} - {b})", "where({a} > {b}, {a}, 0.3*{b})", "where({a} > 0, sqrt({a}), {b})",
    "exp(-{a}^2)", "{a}/(1 + {b}^2)", "abs({a})", "maximum({a}, {b})", "log1p(exp({a}))", "{a}", "0.7", "stop_gradient({a})*{b}",
    "floor({a})", "{a}^3", "relu({a} - 0.2)", "w", "w*{a}", "c + {b}", "sign({a})*{b}",
]  # fmt: skip
VECTORS = [
    "M @ {a}", "{a} * {b}", "sin({a}) + v", "{a} - mean({b})", "softmax({a})", "where({a} > {b}, {a}, v)", "{a} / norm({a} + 2)",
    "flip({a})", "cumsum({a}, axis=0) * 0.3", "{a}", "v", "concat([{a}[1:], {b}[:1]], axis=0)", "sort({a})", "w*{a}", "tanh(M @ {a} + v)",
    "sum({a}) * v", "max({a}) + {b}", "ones([2])", "relu({a})",
]  # fmt: skip

EXTREMES = ["inf", "-inf", "nan", "0.0", "0.3", "-0.7", "1.0"]


def extreme_program(seed: int) -> str:
    """The same with infinities, NaN and zeros among the values that its states start from and meet."""
    draw = random.Random(-seed)
    lines = loop_program(seed).split("\n")
    for k, share in enumerate([1.0, 0.3, 0.5, 0.5, 0.3]):
        head, value = lines[k].split(" = ")
        if draw.random() < share:
            some = iter([draw.choice(EXTREMES) for _ in range(4)])
            lines[k] = f"{head} = " + re.sub(r"-?[\d.]+", lambda _, some=some: next(some), value)
    return "\n".join(lines)


def loop_program(seed: int) -> str:
    """A program with one or two loops, whose last value y is a scalar."""
    draw = random.Random(seed)
    vector = draw.random() < 0.4
    forms = VECTORS if vector else SCALARS

    def expression(names: list[str], depth: int = 2) -> str:
        text = draw.choice(forms)
        for slot in ("{a}", "{b}"):
            while slot in text:
                inner = draw.choice(names)
                if depth and draw.random() < 0.4:
                    inner = f"({expression(names, depth - 1)})"
                text = text.replace(slot, inner, 1)
        return text

    def damped(names: list[str]) -> str:
        return f"0.8*tanh({expression(names)})" if draw.random() < 0.7 else f"0.9*({expression(names)})"

    n = draw.choice([0, 1, 2, 3, 9, 12])
    start = "[0.4, -0.7]" if vector else f"{draw.uniform(-1, 1):.3f}"
    lines = [
        f"variable x = {start}", f"variable w = {draw.uniform(-1, 1):.3f}", "constant c = 0.25",
        "variable v = [0.3, -0.2]", "variable M = [[0.5, -0.3], [0.2, 0.6]]",
    ]  # fmt: skip
    kind = draw.choice(["one", "several", "scan", "scan several", "until", "inside", "map", "nested", "odeint"])
    rows = f"reshape(linspace(-1.0, 1.0, {2 * n}), [{n}, 2]) * w" if vector else f"linspace(-1.0, 1.0, {n}) * w"
    reverse = draw.choice(["", ", reverse=true"])
    if kind == "one":
        lines += [f"def f(a) = {damped(['a'])}", f"h = iterate(f, x, {n})", "y = sum(h)"]
    elif kind == "several":
        lines += [
            f"def f(a, b, d) = {damped(['a', 'b', 'd'])}, {damped(['a', 'b', 'd'])}, {draw.choice(['a', 'b', damped(['d'])])}",
            f"h, k, l = iterate(f, [x, 0.5*x, {draw.choice(['x', 'ones_like(x)'])}], {n})",
            f"y = sum({draw.choice(['h', 'k', 'l', 'h*k', 'h + l'])})",
        ]
    elif kind == "scan":
        lines += [f"def f(a, e) = {damped(['a', 'e'])}", f"h = scan(f, {rows}, x{reverse})", "y = sum(h^2)"]
    elif kind == "scan several":
        lines += [
            f"def f(a, b, e) = {damped(['a', 'b', 'e'])}, {damped(['a', 'b', 'e'])}",
            f"h, k = scan(f, {rows}, [x, x*x]{reverse})",
            f"y = sum({draw.choice(['h', 'k', 'h*k'])})",
        ]
    elif kind == "until":
        lines += [
            f"def f(a) = {damped(['a'])}",
            f"def g(a) = sum(a) < {draw.uniform(-0.5, 0.5):.2f}",
            f"h = iterate(f, x, {n}, until=g)",
            "y = sum(h*x)",
        ]
    elif kind == "inside":
        lines += [
            f"def f(a) = {{ u = sum({expression(['a'])}) + 0*sum(a)\n    g = gradients(u, a)\n    a - 0.1*g }}",
            f"h = iterate(f, x, {n})",
            "y = sum(h)",
        ]
    elif kind == "map":
        lines += [f"def f(e) = sum({expression(['e', 'x'])})", f"h = map(f, {rows})", "y = sum(h^2)"]
    elif kind == "nested":
        lines += [
            f"def g(a) = {damped(['a'])}",
            f"def f(a, e) = {damped(['a', 'e'])} + 0.1*iterate(g, a*e, 10)",
            f"h = scan(f, {rows}, x)",
            "y = sum(h)",
        ]
    else:
        lines += [
            f"def f(a, t) = {expression(['a'])} - a*t",
            f"h = odeint(f, x, linspace(0.0, 1.0, {n}), {draw.choice([1, 2, 10])})",
            "y = sum(h)",
        ]
    return "\n".join(lines) + "\n"

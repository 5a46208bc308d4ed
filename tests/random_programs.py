"""Random well-typed programs for property tests: small, finite everywhere, most of them smooth."""

from __future__ import annotations

from hypothesis import strategies as st

SMOOTH = [
    "sin({a})", "cos({a})", "tanh({a})", "exp(0.3*{a})", "log(2.0 + square({a}))", "sqrt(1.5 + square({a}))",
    "square({a})", "{a}^3", "sigmoid({a})", "softplus({a})", "atan({a})", "erf({a})", "1.0/(2.0 + square({a}))",
    "expm1(0.2*{a})", "-{a}", "2.5*{a}", "{a} + 1.0", "gelu({a})", "identity({a})", "sinh(0.3*{a})",
    "(1.5 + square({a}))^0.7", "asinh({a})", "cbrt(3.0 + square({a}))",
]  # fmt: skip
KINKED = [
    "abs({a})", "relu({a})", "leaky_relu({a})", "sign({a})", "floor({a})", "clip({a}, -0.5, 0.7)", "elu({a})",
    "stop_gradient({a})", "where({a} > 0.1, {a}, square({a}))", "maximum({a}, 0.2)", "{a}*sign({a})",
]  # fmt: skip
PAIRS = [
    "{a} + {b}", "{a} - {b}", "{a} * {b}", "{a} / (1.5 + square({b}))", "atan2({a}, 2.0 + square({b}))",
    "where({a} > {b}, {a}, {b}*{b})", "minimum({a}, {b})", "maximum({a}, {b})", "hypot(1.0 + square({a}), {b})",
    "(1.5 + square({a}))^{b}", "{a}*{a} - {b}",
]  # fmt: skip
SMOOTH_PAIRS = [p for p in PAIRS if "where" not in p and "imum" not in p]
SHAPED = [  # on a matrix [r, c]; what they give
    ("sum({a}, axis=0)", lambda r, c: (c,)), ("sum({a}, axis=1, keepdims=true)", lambda r, c: (r, 1)),
    ("mean({a})", lambda r, c: ()), ("{a}.T", lambda r, c: (c, r)), ("{a}[0]", lambda r, c: (c,)),
    ("{a}[:, :1]", lambda r, c: (r, 1)), ("{a}[::-1]", lambda r, c: (r, c)), ("softmax({a})", lambda r, c: (r, c)),
    ("log_softmax({a}, axis=0)", lambda r, c: (r, c)), ("logsumexp({a}, axis=1)", lambda r, c: (r,)),
    ("{a} @ {a}.T", lambda r, c: (r, r)), ("concat([{a}, 2.0*{a}], 0)", lambda r, c: (2 * r, c)),
    ("reshape({a}, [-1])", lambda r, c: (r * c,)), ("cumsum({a}, 1)", lambda r, c: (r, c)),
    ("norm(1.0 + square({a}), axis=0)", lambda r, c: (c,)), ("prod({a}, axis=1)", lambda r, c: (r,)),
    ("cumprod({a}, 1)", lambda r, c: (r, c)), ("var({a}, axis=0)", lambda r, c: (c,)),
    ("inv({a} @ {a}.T + 3.0*eye({r}))", lambda r, c: (r, r)), ("solve({a} @ {a}.T + 3.0*eye({r}), {a})", lambda r, c: (r, c)),
    ("logdet({a} @ {a}.T + 3.0*eye({r}))", lambda r, c: ()), ("gather({a}, [0, 0], axis=1)", lambda r, c: (r, 2)),
    ("pad({a}, [[1, 0], [0, 1]])", lambda r, c: (r + 1, c + 1)), ("tile({a}, [1, 2])", lambda r, c: (r, 2 * c)),
    ("einsum(\"ij,kj->ik\", {a}, {a})", lambda r, c: (r, r)), ("trace({a} @ {a}.T)", lambda r, c: ()),
    ("cholesky({a} @ {a}.T + 3.0*eye({r}))", lambda r, c: (r, r)), ("roll({a}, 1, axis=1)", lambda r, c: (r, c)),
]  # fmt: skip
SELECTING = [
    ("max({a}, axis=1)", lambda r, c: (r,)), ("min({a}, axis=0)", lambda r, c: (c,)), ("sort({a}, axis=1)", lambda r, c: (r, c)),
]  # fmt: skip


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    width = max(len(a), len(b))
    a, b = (1,) * (width - len(a)) + a, (1,) * (width - len(b)) + b
    if any(n != m and 1 not in (n, m) for n, m in zip(a, b, strict=True)):
        return None
    return tuple(m if n == 1 else n for n, m in zip(a, b, strict=True))


def _literal(draw: st.DrawFn, shape: tuple[int, ...]) -> str:
    if not shape:
        # Three decimals off the round numbers, so that nothing sits on a kink.
        return str(draw(st.integers(-1400, 1400)) / 1000 + 0.0137)
    return "[" + ", ".join(_literal(draw, shape[1:]) for _ in range(shape[0])) + "]"


@st.composite
def programs(draw: st.DrawFn, *, smooth: bool = True, statements: int = 7, scalar: bool = False) -> str:
    """The text of a program with variables v0, v1 and definitions n0, n1, …; with ``scalar`` a last one, y, is a sum."""
    rows, columns = draw(st.sampled_from([(1, 1), (2, 2), (2, 3), (3, 1)]))
    shapes = [(), (columns,), (rows, columns), (1, columns), (rows, 1)]
    lines: list[str] = []
    known: dict[str, tuple[int, ...]] = {}
    for name in ("v0", "v1"):
        shape = draw(st.sampled_from([(rows, columns), *shapes]))
        lines.append(f"variable {name} = {_literal(draw, shape)}")
        known[name] = shape
    singles = SMOOTH if smooth else SMOOTH + KINKED
    pairs = SMOOTH_PAIRS if smooth else PAIRS
    shaped = SHAPED if smooth else SHAPED + SELECTING
    for i in range(draw(st.integers(3, statements))):
        # Later definitions are likelier to be used, so that expressions nest.
        names = [*known, *list(known)[2:], *list(known)[-1:]]
        a = draw(st.sampled_from(names))
        kind = draw(st.integers(0, 2))
        if kind == 1:
            fitting = [b for b in names if _broadcast(known[a], known[b]) is not None]
            b = draw(st.sampled_from(fitting))
            text, shape = draw(st.sampled_from(pairs)).format(a=a, b=b), _broadcast(known[a], known[b])
            assert shape is not None
        elif kind == 2 and len(known[a]) == 2:
            template, result = draw(st.sampled_from(shaped))
            text, shape = template.format(a=a, r=known[a][0]), result(*known[a])
        else:
            text, shape = draw(st.sampled_from(singles)).format(a=a), known[a]
        lines.append(f"n{i} = {text}")
        known[f"n{i}"] = shape
    if scalar:
        lines.append(f"y = sum({list(known)[-1]})")
    return "\n".join(lines) + "\n"


ROUGH = [
    "log({a})", "sqrt({a})", "1.0/{a}", "{a}^0.5", "{a}^-1", "exp(40.0*{a})", "acos({a})", "{a}*1e200", "rsqrt({a})",
    "{a}^1", "{a}^2", "{a} - {a}", "log1p({a})", "tan({a})", "atanh({a})", "xlogy({a}, {a})", "square(square({a}))",
    "where({a} > 0.0, log({a}), {a})", "where({a} < 0.0, sqrt({a}), square({a}))", "maximum({a}, 0.0)", "relu(log({a}))",
    "where(isfinite(1.0/{a}), 1.0/{a}, 0.0)", "where({a} == 0.0 or {a} > 1.0, {a}, 1.0/{a})", "minimum(1.0/{a}, 5.0)",
    "clip({a}, 0.0, 1.0)", "round({a}) + {a}", "mod({a}, 0.7)", "divide_no_nan({a}, {a} - 1.0)", "2.0^{a}",
]  # fmt: skip
ROUGH_PAIRS = ["{a} / {b}", "{a}^{b}", "where({a} > {b}, {a}/{b}, log({b}))", "atan2({a}, {b})", "hypot({a}, {b})"]


@st.composite
def scalar_programs(draw: st.DrawFn, *, statements: int = 12) -> str:
    """A program of scalars with variables v0, v1, v2 and definitions n0, n1, …; values may be 0, NaN or infinite."""
    lines = [f"variable v{i} = {draw(st.sampled_from(['0.0', '-1.0', '0.75', '1.0', '2.25']))}" for i in range(3)]
    names = ["v0", "v1", "v2"]
    for i in range(draw(st.integers(3, statements))):
        if draw(st.booleans()):
            text = draw(st.sampled_from(SMOOTH + KINKED + ROUGH)).format(a=draw(st.sampled_from(names)))
        else:
            a, b = draw(st.sampled_from(names)), draw(st.sampled_from(names))
            text = draw(st.sampled_from(PAIRS + ROUGH_PAIRS)).format(a=a, b=b)
        lines.append(f"n{i} = {text}")
        names += [f"n{i}", f"n{i}"]
    return "\n".join(lines) + "\n"


PIECES = [
    "", "(", ")", "[", "]", "{", "}", "\n", ";", " ", "=", "+", "'", '"', "#", ",", "x", "$", "é", "\0", "1",
    "def ", "tangent ", "tangent f(x) = ", "output ",
]  # fmt: skip


@st.composite
def torn(draw: st.DrawFn, texts: list[str]) -> str:
    """One of some texts in which stretches are left out or replaced, wherever that is: most often no program."""
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.sampled_from([0, 0, 1, 1, 3, 12, 60])))
        text = text[:at] + draw(st.sampled_from(PIECES)) + text[end:]
    return text

"""Which stable form, or which guard, avoids a NaN or an infinity."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from gradcli.features.trace.finite import Made
from gradcli.graph.node import Node
from gradcli.language.naming import Naming
from gradcli.tuples import NamedTuple


class Hint(NamedTuple):
    """What is known of an operation at the values that it failed at, and what to write there.

    ``fact`` holds whatever is computed: a domain, a limit, or a formula with the same values. ``guard`` is a formula
    that has other values where the operation has none, so it answers another question: a loss with a guard may fall
    for ever where the loss itself ends.
    """

    fact: str
    guard: str = ""

    @property
    def text(self) -> str:
        return f"{self.fact}: {self.guard}" if self.guard else self.fact


_DOMAINS = {
    "asin": Hint("asin needs -1 <= x <= 1", "`asin(clip(x, -1, 1))`"),
    "acos": Hint("acos needs -1 <= x <= 1", "`acos(clip(x, -1, 1))`"),
    "atanh": Hint("atanh needs -1 < x < 1", "`atanh(clip(x, -0.999999, 0.999999))`"),
    "acosh": Hint("acosh needs x >= 1", "`acosh(maximum(x, 1))`"),
    "log1p": Hint("log1p needs x > -1"),
    "tan": Hint("tan needs x other than pi/2 + k*pi"),
    "logdet": Hint("logdet needs a matrix with a positive determinant"),
    "sqrt": Hint("sqrt needs x >= 0", "`sqrt(maximum(x, 0))`, or `where(x > 0, sqrt(x), 0)`"),
}
_SLOPES = {
    "sqrt": Hint("the slope of sqrt at 0 is infinite", "`sqrt(x + 1e-12)`, or `where(x > 0, sqrt(x), 0)`"),
    "cbrt": Hint("the slope of cbrt at 0 is infinite", "`where(x != 0, cbrt(x), 0)`"),
    "rsqrt": Hint("rsqrt needs x > 0", "`rsqrt(x + 1e-12)`"),
    "asin": Hint("the slope of asin at -1 and 1 is infinite", "`asin(clip(x, -0.999999, 0.999999))`"),
    "acos": Hint("the slope of acos at -1 and 1 is infinite", "`acos(clip(x, -0.999999, 0.999999))`"),
    "pow": Hint("the slope of a power below 1 at 0 is infinite", "`where(x > 0, x^p, 0)`, or `(x + 1e-12)^p`"),
}
_LOGARITHMS = {"log", "log2", "log10"}


def hint(naming: Naming, found: Made, users: Mapping[Node, Sequence[Node]], origin: Node | None) -> Hint | None:
    """What to write in place of an operation that made NaN or infinity; ``origin`` is the one whose derivative it belongs to."""
    for some in _all(naming, found, users, origin):
        if some is not None:
            return some
    return None


_INDEFINITE = {
    "multiply": Hint(
        "0 times infinity", "leave such entries out, `where(a != 0, a*b, 0)`; for a*log(b) write `xlogy(a, b)`"
    ),
    **dict.fromkeys(
        ("subtract", "add"),
        Hint("infinity less infinity", "keep both operands finite, or leave such entries out by `where`"),
    ),
    "mean": Hint("there are no entries to take the mean of"),
}
"""What makes a NaN from numbers that are not NaN."""


def _all(
    naming: Naming, found: Made, users: Mapping[Node, Sequence[Node]], origin: Node | None
) -> Iterator[Hint | None]:
    node = found.node
    name = node.op.name
    zero = any([value == 0 for entries in found.inputs for _, value in entries])
    if origin is not None:
        yield _slope(naming, origin) if zero else None
        yield _stable(naming, origin, users)
    yield _stable(naming, node, users)
    if name in _LOGARITHMS or name == "recip" and node.attrs.get("positive"):
        yield _logarithm(naming, found, origin or node)
    if name in ("divide", "recip", "atan2_slope"):
        yield _quotient(naming, found, node if name == "divide" and origin is None else origin or node)
    if name == "pow":
        yield _power(found)
    yield _DOMAINS.get(name)
    if node.op.overflows is not None:
        limit = node.op.overflows[node.dtype == "float64"]
        yield Hint(
            f"{name} overflows where its argument is above about {limit}", f"bound it, `{name}(minimum(x, {limit}))`"
        )
    yield _INDEFINITE.get(name) if any(math.isnan(v) for v in found.values) else None
    if any(math.isinf(v) for v in found.values):
        more = "use `--dtype float64`, or " if node.dtype == "float32" else ""
        yield Hint(f"the result is too large for {node.dtype}: {more}scale the values down")


def _slope(naming: Naming, origin: Node) -> Hint | None:
    name = origin.op.name
    if name == "sqrt" and (inside := _sum_of_squares(origin.inputs[0])) is not None:
        return Hint(f"write `norm({naming.name(inside)})`, whose slope at 0 is 0")
    if name == "pow" and not _is_root(origin):
        return None
    return _SLOPES.get(name)


def _is_root(node: Node) -> bool:
    exponent = node.inputs[1].attrs.get("value") if node.inputs[1].op.name == "literal" else None
    return exponent is None or 0 < exponent < 1


def _stable(naming: Naming, node: Node, users: Mapping[Node, Sequence[Node]]) -> Hint | None:
    """A stable form of the operation together with those around it."""
    name = node.op.name
    if name in _LOGARITHMS:
        return _stable_logarithm(naming, node, users)
    if name == "exp":
        hints = (_stable_exponential(naming, node, user, users) for user in users.get(node, ()))
        if (hint := next((hint for hint in hints if hint is not None), None)) is not None:
            return hint
    if name == "divide":
        a, b = node.inputs
        if a.op.name == "exp" and _sums(naming, b, a):
            x = naming.name(a.inputs[0])
            return Hint(f"write `softmax({x})` for `exp({x}) / sum(exp({x}))`")
    return None


def _stable_exponential(naming: Naming, node: Node, user: Node, users: Mapping[Node, Sequence[Node]]) -> Hint | None:
    """A stable form of an exponential, what uses that, and what uses this in turn."""
    x = naming.name(node.inputs[0])
    others = users.get(user, ())
    above = {u.op.name for u in others}
    in_logarithm = bool(above & _LOGARITHMS)
    quotients = [q for q in (*others, user) if q.op.name == "divide"]
    if user.op.name == "sum" and in_logarithm:
        return Hint(f"write `logsumexp({x})` for `log(sum(exp({x})))`")
    if any([u.op.name in _LOGARITHMS for q in quotients for u in users.get(q, ())]):
        return Hint(f"write `log_softmax({x})` for `log(exp({x}) / sum(exp({x})))`")
    is_divisor = user.op.name == "sum" and "divide" in above
    if is_divisor or (user.op.name == "divide" and _sums(naming, user.inputs[1], node)):
        return Hint(f"write `softmax({x})` for `exp({x}) / sum(exp({x}))`")
    if user.op.name == "add" and in_logarithm:
        return Hint(f"write `softplus({x})` for `log(1 + exp({x}))`")
    if user.op.name == "add" and not above.isdisjoint(("divide", "recip")):
        return Hint(f"write `sigmoid({_negated(x)})` for `1 / (1 + exp({x}))`")
    return None


def _stable_logarithm(naming: Naming, node: Node, users: Mapping[Node, Sequence[Node]]) -> Hint | None:
    inside = node.inputs[0]
    x = naming.name(inside.inputs[0]) if inside.inputs else ""
    if inside.op.name == "softmax":
        return Hint(f"write `log_softmax({x})` for `log(softmax({x}))`")
    if inside.op.name == "sigmoid":
        return Hint(f"write `-softplus({_negated(x)})` for `log(sigmoid({x}))`")
    if inside.op.name == "sum" and inside.inputs[0].op.name == "exp":
        x = naming.name(inside.inputs[0].inputs[0])
        return Hint(f"write `logsumexp({x})` for `log(sum(exp({x})))`")
    if inside.op.name == "exp":
        return Hint(f"write `{x}` for `log(exp({x}))`")
    if (
        inside.op.name == "divide"
        and inside.inputs[0].op.name == "exp"
        and _sums(naming, inside.inputs[1], inside.inputs[0])
    ):
        x = naming.name(inside.inputs[0].inputs[0])
        return Hint(f"write `log_softmax({x})` for the logarithm of a softmax")
    for user in users.get(node, ()):
        if user.op.name == "multiply":
            other = user.inputs[0] if user.inputs[1] is node else user.inputs[1]
            return Hint(
                f"{node.op.name} needs x > 0",
                f"write `xlogy({naming.name(other)}, {naming.name(inside)})`, which is 0 where the factor is 0",
            )
    return None


def _logarithm(naming: Naming, found: Made, node: Node) -> Hint:
    log = node.op.name if node.op.name in _LOGARITHMS else "log"
    x = naming.name(node.inputs[0]) if node.inputs else "x"
    if any([value < 0 for entries in found.inputs for _, value in entries]):
        return Hint("a logarithm needs x > 0", f"leave the others out, `where({x} > 0, {log}({x}), 0)`")
    return Hint(
        "a logarithm needs x > 0", f"write `{log}({x} + 1e-12)`, or leave 0 out, `where({x} > 0, {log}({x}), 0)`"
    )


def _quotient(naming: Naming, found: Made, node: Node) -> Hint | None:
    if not any([value == 0 for _, value in found.inputs[-1]]):
        return None
    if node.op.name not in ("divide", "recip"):
        return Hint(f"{naming.formula(node)} has no finite derivative there", "leave such entries out by `where`")
    a, b = naming.name(node.inputs[0]), naming.name(node.inputs[-1])
    a = "1" if len(node.inputs) == 1 else a
    return Hint(
        f"{b} is 0, which cannot be divided by",
        f"leave 0 out, `divide_no_nan({a}, {b})` gives 0 there, or `where({b} != 0, {a} / {b}, 0)`",
    )


def _power(found: Made) -> Hint | None:
    bases = [value for _, value in found.inputs[0]]
    if any(value < 0 for value in bases) and any(math.isnan(v) for v in found.values):
        return Hint(
            "a negative number has no real power unless the exponent is an integer",
            "`abs(x)^p`, or `where(x > 0, x^p, 0)`",
        )
    if any(value == 0 for value in bases):
        return Hint("0 to a negative power is infinite", "`where(x != 0, x^p, 0)`")
    return None


def _sums(naming: Naming, total: Node, part: Node) -> bool:
    """Whether ``total`` is the sum of the exponentials of what ``part`` is the exponential of."""
    while total.op.name in ("reshape", "expand_dims", "broadcast_to", "identity"):
        total = total.inputs[0]
    if total.op.name != "sum" or total.inputs[0].op.name != "exp":
        return False
    name = naming.name(part)
    return total.inputs[0] is part or ("…" not in name and naming.name(total.inputs[0]) == name)


def _sum_of_squares(x: Node) -> Node | None:
    """v of sum(v^2), written in any way."""
    if x.op.name == "dot" and x.inputs[0] is x.inputs[1]:
        return x.inputs[0]
    if x.op.name != "sum":
        return None
    inside = x.inputs[0]
    if inside.op.name == "square" or inside.op.name == "multiply" and inside.inputs[0] is inside.inputs[1]:
        return inside.inputs[0]
    if inside.op.name == "pow" and inside.inputs[1].attrs.get("value") == 2:
        return inside.inputs[0]
    return None


def _negated(x: str) -> str:
    return x[1:] if x.startswith("-") and x[1:].replace("_", "").isalnum() else f"-{x}" if x.isalnum() else f"-({x})"

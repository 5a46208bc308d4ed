"""What a written module or file says that it holds."""

from __future__ import annotations

from gradcli.features.derive.answer import Derived


def title(derived: Derived) -> str:
    """A sentence: the gradient of y with respect to x, w."""
    of, each = " + ".join(derived.of), ", ".join(derived.of)
    by = ", ".join(dict.fromkeys(g.x for g in derived.gradients if g.wrt))
    if derived.kind in ("jvp", "taylor"):
        along = ", ".join(derived.tangents.values())
        what = "derivative" if derived.kind == "jvp" else f"Taylor polynomial of degree {derived.order}"
        return f"The {what} of {each} at {', '.join(derived.tangents)} along {along}."
    if derived.kind in ("jacobian", "hessian"):
        return f"The {derived.kind.capitalize()} of {each if derived.kind == 'jacobian' else of} with respect to {by}."
    if not derived.order:
        return f"The value{'s' * (len(derived.of) > 1)} of {each}."
    summed = f"the sum of {of}" if derived.summed else of
    if derived.first < derived.order:
        return f"The derivatives of the orders {derived.first} to {derived.order} of {summed} with respect to {by}."
    what = {1: "gradient", 2: "second derivative"}.get(derived.order, f"derivative of order {derived.order}")
    return f"The {what} of {summed} with respect to {by}."

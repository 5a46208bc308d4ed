"""mpmath's functions for operations whose kernels are not written in NumPy's functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

WORDS: dict[str, Callable[..., Any]] = {
    "erf": lambda mp, x: mp.erf(x), "erfc": lambda mp, x: mp.erfc(x), "log_cosh": lambda mp, x: mp.log(mp.cosh(x)),
    "lgamma": lambda mp, x: mp.re(mp.loggamma(x)), "digamma": lambda mp, x: mp.digamma(x),
    "polygamma": lambda mp, x, n: mp.psi(n, x), "log_ndtr": lambda mp, x: mp.log(mp.erfc(-x / mp.sqrt(2)) / 2),
}  # fmt: skip
"""By name: a function of mpmath, the inputs and the attributes."""

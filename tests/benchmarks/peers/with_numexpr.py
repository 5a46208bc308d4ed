"""numexpr: the values of a chain, as one expression whose constants have the array's precision."""

from __future__ import annotations

import re
from typing import Any

import numexpr
import numpy as np
from serving import Data, Job, NotPossibleError, serve


def expression(text: str) -> str:
    """The last line's right side with the names of the others replaced; numexpr merges what occurs twice."""
    known: dict[str, str] = {}
    for line in text.splitlines():
        name, _, right = line.partition(" = ")
        known[name] = re.sub(r"\b[a-z]\b", lambda m: f"({known.get(m[0], m[0])})", right)
    return known[name]


def chain(text: str, data: Data) -> Job:
    constants: dict[str, Any] = {}

    def constant(match: re.Match[str]) -> str:
        name = f"c{len(constants)}"
        constants[name] = data["x"].dtype.type(match[0])
        return name

    one = re.sub(r"\b\d+\.\d+\b", constant, expression(text))
    values = {"x": data["x"], **constants}
    return lambda: numexpr.evaluate(one, values)


def prepare(request: dict[str, Any], data: Data) -> Job:
    if request["task"] != "values":
        raise NotPossibleError("values only")
    return chain(request["case"], data)


if __name__ == "__main__":
    serve(numexpr.__version__, prepare, lambda: chain("y = 2.0*x", {"x": np.ones(4)})())

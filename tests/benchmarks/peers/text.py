"""Functions from text: the statements of a program in the syntax that it shares with Python, for any library's operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def function_of(text: str, inputs: Sequence[str], result: str, operations: Mapping[str, Any]) -> Callable[..., Any]:
    """The value of ``result`` after the statements of ``text``, a function of the inputs in their order."""
    body = "".join(f"    {line}\n" for line in text.splitlines())
    scope: dict[str, Any] = dict(operations)
    exec(f"def f({', '.join(inputs)}):\n{body}    return {result}\n", scope)
    function: Callable[..., Any] = scope["f"]
    return function

"""What callers of the Python interface may give: each argument is checked, and brought to one form, here.

Every function takes the value and the name of its argument, and raises GradcliError for what it does not accept.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from gradcli.diagnostics import GradcliError, did_you_mean, listed

LARGEST_ORDER = 2000
LARGEST_SEED = 2**32 - 1
MOST_THREADS = 1024


def names(value: object, argument: str) -> list[str]:
    """Names of a program as a list; a string is one name."""
    if isinstance(value, str):
        return [_spelled(value)]
    found = None
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray, Mapping)):
        with suppress(TypeError):  # what NumPy's scalars say when they are asked for their entries
            found = list(value)
    if found is None:
        _wrong(argument, "a name or a list of names", value, f'{argument}=["x", "y"]')
    for name in found:
        if not isinstance(name, str):
            _wrong(f"each name in {argument}", "a string", name, f'{argument}=["x", "y"]')
    return [_spelled(name) for name in found]


def names_or_none(value: object, argument: str) -> list[str] | None:
    """Names as a list, or None, which leaves the choice to the program."""
    return None if value is None else names(value, argument)


def by_name(value: object, argument: str) -> dict[str, Any]:
    """A mapping from names to values; None is an empty one. The values themselves are checked where they are used."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        _wrong(argument, "a mapping from names to values", value, f'{argument}={{"x": 1.0}}')
    for name in value:
        if not isinstance(name, str):
            _wrong(f"each name in {argument}", "a string", name, f'{argument}={{"x": 1.0}}')
    return {_spelled(name): item for name, item in value.items()}


def integer(value: object, argument: str, least: int, most: int | None = None) -> int:
    """A whole number from ``least`` to ``most``; NumPy's integers are taken, bools are not."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or getattr(value, "shape", ()) != ():
        _wrong(argument, "an integer", value, f"{argument}={least}")
    try:
        number = int(value.__index__())
    except (TypeError, ValueError):
        _wrong(argument, "an integer", value, f"{argument}={least}")
    if number < least or most is not None and number > most:
        allowed = f"at least {least}" if most is None else f"from {least} to {most}"
        raise GradcliError("ValueError", f"{argument} must be {allowed}, not {_shown(number)}")
    return number


def integer_or_none(value: object, argument: str, least: int, most: int | None = None) -> int | None:
    """An integer in a range, or None. Raises a GradcliError that names the argument."""
    return None if value is None else integer(value, argument, least, most)


def number_or_none(value: object, argument: str) -> float | None:
    """A positive finite number; None leaves the choice to the program."""
    if value is None:
        return None
    number = _real(value, argument, f"{argument}=1e-3")
    if not 0 < number < math.inf:
        raise GradcliError("ValueError", f"{argument} must be positive and finite, not {_shown(number)}")
    return number


def bounds(value: object, argument: str) -> dict[str, tuple[float, float]]:
    """Pairs of a low and a high end by name; None for an end is infinity."""
    found: dict[str, tuple[float, float]] = {}
    example = f'{argument}={{"x": (0.0, 1.0)}}'
    for name, pair in by_name(value, argument).items():
        if not isinstance(pair, Sequence) or isinstance(pair, (str, bytes)) or len(pair) != 2:
            _wrong(f"{argument} of {name}", "a pair (low, high)", pair, example)
        low, high = [
            infinite if end is None else _real(end, f"{argument} of {name}", example)
            for end, infinite in zip(pair, (-math.inf, math.inf), strict=True)
        ]
        if not low < high:
            raise GradcliError("ValueError", f"the bounds of {name} leave nothing between them: {low}..{high}")
        found[name] = (low, high)
    return found


def limits(value: object, argument: str, allowed: Sequence[str]) -> dict[str, float]:
    """Numbers by words; only some words are allowed."""
    found: dict[str, float] = {}
    for name, limit in by_name(value, argument).items():
        if name not in allowed:
            raise GradcliError("ValueError", f"{argument} takes {listed(allowed)}, not {name}")
        found[name] = _real(limit, f"{argument} of {name}", f'{argument}={{"{allowed[0]}": 1e-6}}')
    return found


def _real(value: object, argument: str, example: str) -> float:
    """A real number that is not NaN; NumPy's scalars are taken, bools are not."""
    number = None
    is_scalar = (
        isinstance(value, (int, float)) or type(value).__module__ == "numpy" and getattr(value, "shape", None) == ()
    )
    if is_scalar and type(value).__name__ not in ("bool", "bool_"):
        with suppress(TypeError, ValueError, OverflowError):
            number = float(value)  # type: ignore[arg-type]
    if number is None or math.isnan(number):
        _wrong(argument, "a number", value, example)
    return number


def one_of(value: object, argument: str, allowed: Sequence[str]) -> str:
    """One of a few words."""
    if isinstance(value, str) and value in allowed:
        return value
    choices = listed([f'"{word}"' for word in allowed], "or")
    close = did_you_mean(value, allowed) if isinstance(value, str) else None
    raise GradcliError(
        "ValueError" if isinstance(value, str) else "TypeError",
        f"{argument} must be {choices}, not {_shown(value)}",
        help=f'did you mean `{argument}="{close}"`?' if close else f'write `{argument}="{allowed[0]}"`',
    )


def device_or_none(value: object, argument: str) -> str | None:
    """What JAX computes on: "cpu", "gpu" or "tpu", perhaps with a number; or None, which leaves the choice to JAX."""
    from gradcli.execute.accelerator import DEVICE

    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(DEVICE, value):
        _wrong(argument, 'a device such as "cpu" or "gpu:1"', value, f'{argument}="gpu"')
    return value


def pair_or_none(value: object, argument: str, example: str) -> tuple[Any, Any] | None:
    """Two things that belong together, or None."""
    if value is None:
        return None
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        _wrong(argument, "a pair", value, f"{argument}={example}")
    return value[0], value[1]


def flag(value: object, argument: str) -> bool:
    """True or False, NumPy's included."""
    if type(value).__name__ not in ("bool", "bool_") or getattr(value, "shape", ()) != ():
        _wrong(argument, "True or False", value, f"{argument}=True")
    return bool(value)


def text(value: object, argument: str) -> str:
    """A string. Raises a GradcliError that names the argument."""
    if not isinstance(value, str):
        _wrong(argument, "a string", value, "decode bytes: `data.decode()`" if isinstance(value, bytes) else None)
    return value


def path(value: object, argument: str) -> str:
    """The name of a file or folder as a string."""
    try:
        name = os.fspath(value)  # type: ignore[call-overload]
    except TypeError:
        name = None
    if not isinstance(name, str):
        _wrong(argument, "a string or a path", value, "`pathlib.Path` makes one")
    return name


def path_or_none(value: object, argument: str) -> str | None:
    """A path as a string, or None. Raises a GradcliError that names the argument."""
    return None if value is None else path(value, argument)


def dtype_or_none(value: object) -> str | None:
    """``float32``, ``float64`` or None. Raises GradcliError for any other value."""
    return None if value is None else one_of(value, "dtype", ("float32", "float64"))


def _spelled(name: str) -> str:
    """A name as programs spell it: letters that Unicode calls compatible are the same."""
    if name.isascii():
        return name
    import unicodedata

    return unicodedata.normalize("NFKC", name)


def _wrong(argument: str, needed: str, value: object, example: str | None) -> NoReturn:
    help = None
    if example is not None:
        help = example if "`" in example else f"such as `{example}`"
    raise GradcliError("TypeError", f"{argument} must be {needed}, not {_shown(value)}", help=help)


def _shown(value: object) -> str:
    """A value in a message: short ones as they are, else what sort of value it is."""
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        if isinstance(value, int) and abs(value) >= 10**40:
            return "an integer of many digits"
        shown = repr(value)
        if len(shown) <= 40:
            return shown
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"

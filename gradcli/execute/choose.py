"""Which engine computes what, and why: from sizes and switches, before anything runs.

What a choice needs to know is passed in, so that this module asks nobody and is imported by all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gradcli.graph.switches import without
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.execute.sizes import Means

Engine = Literal["plain numbers", "sweeps", "whole arrays", "tiles", "straight line", "numbers"]

OPERATIONS = 2000
"""Operations of a program from which on sweeps pay for their import and for tracing derivatives."""

LARGE = 1 << 18
"""Bytes that some array must have before it is asked whether loops over tiles pay."""

SMALL = 1 << 18
"""Bytes of an array up to which the time that Python spends between two operations counts beside NumPy's."""

MOST_LINES = 40_000
"""Operations of a function: a line takes twenty microseconds to write and to compile, and saves two a call."""

ENOUGH_CALLS = 50
"""Calls that make up for writing a function of any length."""

WRITING = 20_000
"""Nanoseconds to write and compile a line of a function."""

WORTH_THREADS = 1_000_000
"""Nanoseconds that a loop must take before starting threads costs less than they save."""

WORTH_PROCESSES = 3_000_000
"""The same for processes that wait for it, including the copies to and from them."""

LONG_STEP = 10_000
"""Nanoseconds of a step from which threads gain: for shorter ones they wait for the interpreter's lock most of the time."""

MOST_SHARED = 1 << 26
"""Bytes of all that a loop reads and writes up to which copying it to processes is quick beside the work."""


class Choice(NamedTuple):
    """An engine, and why it is the one: words that go on after "because"."""

    engine: Engine
    reason: str


class Workers(NamedTuple):
    """How many workers share the tiles of a loop, whether they are processes, and why."""

    number: int
    processes: bool
    reason: str


def of_scalars(operations: int, plain: bool, limited: bool) -> Choice:
    """What computes the values of a program if all of them are scalars: decided by its number of ``operations``.

    ``plain`` says that numbers of Python do for the answer, ``limited`` that its memory is to be planned.
    """
    if operations >= OPERATIONS:
        if without("sweep"):
            return Choice("whole arrays", "sweeps are turned off")
        return Choice("sweeps", f"all values are scalars, of {operations:,} operations (sweeps from {OPERATIONS:,})")
    if without("plain"):
        return Choice("whole arrays", "plain numbers are turned off")
    if limited or not plain:
        return Choice("whole arrays", "its memory is limited" if limited else "the answer consists of arrays")
    return Choice("plain numbers", f"all values are scalars, of {operations:,} operations (sweeps from {OPERATIONS:,})")


def of_arrays(largest: int, loops: bool = True) -> Choice:
    """What runs a plan whose ``largest`` array has so many bytes; ``loops`` says whether some loop over tiles pays."""
    has = f"the largest array has {largest:,} bytes"
    if largest < LARGE:
        return Choice("whole arrays", f"{has} (tiles from {LARGE:,})")
    if without("tiles"):
        return Choice("whole arrays", "tiles are turned off")
    return (
        Choice("tiles", f"{has} (tiles from {LARGE:,})")
        if loops
        else Choice("whole arrays", f"{has}, but no loop over tiles would pay")
    )


def of_repeated(once: Choice, largest: int, operations: int, calls: int = 0) -> Choice:
    """What runs a plan again and again, by what would run it ``once`` and by its number of ``operations``.

    ``calls`` says how often at least, where that is known.
    """
    if once.engine != "whole arrays" or largest >= SMALL:
        return once
    if operations > MOST_LINES and calls < ENOUGH_CALLS:
        return Choice("whole arrays", f"it has {operations:,} operations (a straight line up to {MOST_LINES:,})")
    if without("straight"):
        return Choice("whole arrays", "the straight line is turned off")
    return Choice("straight line", f"it runs often, and {once.reason}")


def of_steps(scalar: bool, saved: int, lines: int, runs: int) -> Choice:
    """What does a step of a loop on small arrays ``runs`` times: a function of numbers, entry by entry, or whole arrays.

    The function has so many ``lines``, and saves so many nanoseconds each time; of ``scalar`` values alone it always gains.
    """
    if scalar:
        return Choice("numbers", "all values of a step are scalars")
    if without("entries"):
        return Choice("whole arrays", "functions of entries are turned off")
    takes = f"{runs:,} steps save {saved * runs / 1e6:.3g} ms, and to write the function takes {WRITING * lines / 1e6:.3g} ms"
    return Choice("numbers" if saved * runs >= WRITING * lines else "whole arrays", takes)


def workers(means: Means, nanoseconds: float, step: float, shared: int, forks: bool) -> Workers:
    """What shares a loop that takes so many ``nanoseconds`` on one thread, a ``step`` on a tile so many.

    ``shared`` are the bytes that it reads and writes, ``forks`` says whether this system has processes for it.
    """
    takes = f"the loop takes {nanoseconds / 1e6:.3g} ms"
    if means.threads == 1:
        return Workers(1, False, "one thread is to be used")
    if means.processes and forks and nanoseconds >= WORTH_PROCESSES and shared <= MOST_SHARED:
        return Workers(means.threads, True, f"{takes} (processes from {WORTH_PROCESSES / 1e6:g} ms)")
    if nanoseconds < WORTH_THREADS:
        return Workers(1, False, f"{takes} (threads from {WORTH_THREADS / 1e6:g} ms)")
    if step < LONG_STEP:
        return Workers(1, False, f"a step takes {step / 1e3:.3g} us (threads from {LONG_STEP / 1e3:g} us)")
    return Workers(means.threads, False, f"{takes} (threads from {WORTH_THREADS / 1e6:g} ms)")

"""``python -m tests.engines [--minutes 10] [--first 0]``: random programs, and those whose answers differ, made small."""

from __future__ import annotations

import argparse
import re
import time
import warnings

import gradcli
from tests.engines.mixed import Program
from tests.engines.ways import disagreements


def kinds(lines: list[str]) -> set[str]:
    return {line.split(":")[0] for line in lines}


def shrunk(text: str, way: str) -> str:
    """The text without the lines, and with simpler numbers, that the disagreement of a way does not need."""

    def fails(candidate: str) -> bool:
        try:
            return "\ny = " in candidate and bool(disagreements(candidate, way))
        except gradcli.GradcliError:
            return False

    changed = True
    while changed:
        changed = False
        lines = text.splitlines()
        for i in reversed(range(len(lines))):
            shorter = "\n".join(lines[:i] + lines[i + 1 :]) + "\n"
            if fails(shorter):
                text, changed = shorter, True
                lines = text.splitlines()
        for i, line in reversed(list(enumerate(lines))):
            name = re.match(r"(n\d+) = (n\d+|v\d+)$", line)
            if name:
                shorter = re.sub(rf"\b{name[1]}\b", name[2], "\n".join(lines[:i] + lines[i + 1 :]) + "\n")
                if fails(shorter):
                    text, changed = shorter, True
                    break
    return text


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--most", type=int, default=1000)
    options = parser.parse_args()
    warnings.simplefilter("error")
    end = time.monotonic() + 60 * options.minutes
    seed, found = options.first, 0
    while time.monotonic() < end and found < options.most:
        text = Program(seed).text
        try:
            lines = disagreements(text)
        except gradcli.GradcliError as error:
            lines = [f"load: {error.message}"]
        except Exception as error:  # noqa: BLE001
            lines = [f"plainly: {type(error).__name__}: {error}"]
        lines = [line for line in lines if "diagonal_view" not in line]
        for way in sorted(kinds(lines)) if lines else ():
            found += 1
            if way in ("load", "plainly"):
                print(f"# seed {seed}: {lines}\n{text}", flush=True)
                break
            small = shrunk(text, way)
            print(
                f"# seed {seed}, {way}\n{small}"
                + "\n".join(f"#   {line[:400]}" for line in disagreements(small, way))
                + "\n",
                flush=True,
            )
            break
        seed += 1
    print(f"# {seed - options.first} programs, {found} disagreements", flush=True)


main()

"""``--points``: a command's question for each row of a CSV or NDJSON stream, a line of results for each."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Protocol

import click

from gradcli.commands.endings import is_terminal, stream_has_color, tell
from gradcli.commands.output import screen, write
from gradcli.diagnostics import GradcliError

if TYPE_CHECKING:
    from gradcli.data.rows import Rows
    from gradcli.features.points.answer import Answers
    from gradcli.features.points.varied import Ask, Item
    from gradcli.program.loaded import Loaded
    from gradcli.results import Block

FORMATS = ("csv", "json", "ndjson", "table")
ENDINGS = {".csv": "csv", ".json": "json", ".ndjson": "ndjson"}

LONGEST_TABLE = 100
"""Rows that are held back for a table; of more, CSV is written."""


class _Bar(Protocol):
    def update(self, read: int, rows: int) -> None: ...
    def say(self, text: str) -> None: ...


@dataclass(slots=True)
class RowStream:
    """The options of a command with ``--points``, checked before anything is computed."""

    path: str
    skip_bad: bool
    format: str
    precision: int | None
    output: str | None
    _header: list[str] | None = None
    _held: list[Answers] = field(default_factory=list)
    _count: int = 0

    @classmethod
    def chosen(
        cls, points: str | None, skip_bad: bool, format: str | None, precision: int | None, output: str | None
    ) -> RowStream:
        """Raises click.UsageError where the options contradict each other."""
        if points is None:
            raise click.UsageError("--skip-bad is about the rows of --points.")
        if format not in (None, *FORMATS):
            raise click.UsageError(f"--points writes {', '.join(FORMATS)}, and not --format {format}.")
        if output is None:
            format = format or ("table" if is_terminal(sys.stdout) else "csv")
            return cls(points, skip_bad, format, precision, None)
        written = ENDINGS.get(os.path.splitext(output)[1].lower())
        if written is None:
            raise click.UsageError(f"--output {output}: with --points the file must end in {', '.join(ENDINGS)}.")
        if format not in (None, written) and {format, written} != {"json", "ndjson"}:
            raise click.UsageError(f"--format {format} contradicts --output {output}.")
        return cls(points, skip_bad, written, precision, output)

    def deliver(self, program: Loaded, ask: Ask) -> None:
        """Read rows, answer, and write, as long as there are rows."""
        if self.output is None:
            self._run(program, ask, lambda text: write(text, verbatim=True))
            return
        from gradcli.data import write_atomically

        # A file appears whole or not at all: a bad row leaves none.
        write_atomically(
            self.output, lambda file: self._run(program, ask, lambda text: void(file.write(text.encode())))
        )

    def _run(self, program: Loaded, ask: Ask, send: Any) -> None:
        from gradcli.data.memory import Memory
        from gradcli.data.rows import read_rows
        from gradcli.features.points.answer import Points

        name = "<stdin>" if self.path == "-" else self.path
        points = Points(program, ask, name, self.skip_bad)
        with _opened(self.path) as (file, size), _bar(size, self.output is not None) as bar:
            memory = Memory(program.max_memory)
            for rows in _as_read(read_rows(file, name, points.field_of, self.skip_bad, memory), name):
                for answers in points.answers(rows) if len(rows.numbers) or not rows.bad else ():
                    send(self._text(answers))
                    self._tell(answers.bad, bar)
                    if bar is not None:
                        bar.update(rows.read, self._count)
                self._tell(rows.bad, bar)
            send(self._end())

    def _tell(self, bad: list[tuple[int, GradcliError]], bar: _Bar | None) -> None:
        """Raise the error of a bad row, or say that it is passed over."""
        for _, problem in bad:
            if not self.skip_bad:
                if self.output is None:
                    write(self._end())  # the rows of a table that were answered
                raise problem
            from gradcli.report.quoting import visible

            if self.format in ("json", "ndjson"):
                from gradcli.report.errors import render_json

                text = render_json(problem).rstrip("\n")
            else:
                place = f"{problem.file}:{problem.line}:{problem.column}, " if problem.span else ""
                text = visible(f"skipped: {problem.message} ({place}{problem.kind})")
            if bar is not None:
                bar.say(text)
            else:
                tell(f"{text}\n")

    def _text(self, answers: Answers) -> str:
        """The lines of some rows, below the header if they are the first ones."""
        from gradcli.features.points import look as form

        count = len(answers.numbers)
        self._count += count
        values = form.rounded_to(answers.values, self.precision)
        if self.format in ("json", "ndjson"):
            return form.json_lines([item.path for item in answers.items], values, count)
        if self.format == "table":
            self._held.append(answers._replace(values=list(values)))
            if self._count <= LONGEST_TABLE:
                return ""
            # Too many for a table: what was held is written as CSV, and all that follows.
            self.format = "csv"
            held, self._held, self._count = self._held, [], 0
            return "".join([self._text(earlier) for earlier in held])
        labels = [item.label for item in answers.items]
        header = form.headings(labels, values)
        start = ""
        if self._header is None:
            self._header, start = header, form.csv_header(labels, values)
        elif header != self._header:
            raise GradcliError(
                "ValueError", f"row {answers.numbers[0]} has the results {', '.join(header)}, not those of the header"
            )
        return start + form.csv_lines(values, count)

    def _end(self) -> str:
        """The table of the rows held, if that is what is written."""
        held, self._held = self._held, []
        if not held:
            return ""
        from gradcli.features.points import look as form

        labels = [item.label for item in held[0].items]
        header = form.headings(labels, held[0].values)
        cells = [row for answers in held for row in form.cells(answers.values, len(answers.numbers))]
        numbers = [number for answers in held for number in answers.numbers.tolist()]
        return form.table(header, numbers, cells, screen() if is_terminal(sys.stdout) else None)


def blocks(found: Sequence[Block]) -> list[Item]:
    """Matrices: in JSON ``{row: {column: …}}``, in CSV by the name of the block."""
    from gradcli.features.points.varied import Item

    return [Item((b.row, b.column), b.name, b.value) for b in found]


def void(_: object) -> None:
    """For a lambda whose result is of no use."""


@contextmanager
def _opened(path: str) -> Iterator[tuple[IO[bytes], int | None]]:
    """The stream of rows, and its size in bytes where that is known."""
    if path == "-":
        if sys.stdin is None:
            raise GradcliError("DataError", "standard input is closed")
        yield sys.stdin.buffer, _size(sys.stdin)
        return
    if path.lower().endswith(".gz"):
        from gradcli.data.files import Content
        from gradcli.data.memory import Memory

        with Content(path, Memory()).opened() as file:
            yield file, None
        return
    from gradcli.data import opened

    with opened(path) as file:
        yield file, _size(file)


def _as_read(blocks: Iterator[Rows], name: str) -> Iterator[Rows]:
    """The blocks of a stream; a DataError where the stream cannot be read on."""
    while True:
        try:
            rows = next(blocks)
        except StopIteration:
            return
        except OSError as problem:
            from gradcli.data import unreadable

            raise unreadable(name, problem) from None
        yield rows


def _size(file: Any) -> int | None:
    try:
        status = os.fstat(file.fileno())
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


@contextmanager
def _bar(size: int | None, to_file: bool) -> Iterator[_Bar | None]:
    """A bar where standard error is a terminal and standard output does not write on the same one."""
    if not is_terminal(sys.stderr) or (is_terminal(sys.stdout) and not to_file):
        yield None
        return
    from gradcli.report.progress import Bar

    with Bar(sys.stderr, size, stream_has_color(sys.stderr)) as bar:
        yield bar

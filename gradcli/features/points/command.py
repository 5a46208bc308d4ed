"""``--points``: a command's question for each row of a CSV or NDJSON stream, a line of results for each."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, Any, Protocol

import click

from gradcli.commands.endings import is_terminal, stream_has_color, tell
from gradcli.commands.options import RowOptions
from gradcli.commands.output import screen, write
from gradcli.diagnostics import GradcliError, counted
from gradcli.execute.sizes import processors

if TYPE_CHECKING:
    from gradcli.data.rows import Rows
    from gradcli.execute.cluster import Place
    from gradcli.features.points.answer import Answers, Points
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
    keep: Sequence[str] = ()
    delimiter: str = ","
    keep_bad: bool = False
    place: Place | None = None
    header: list[str] | None = None
    _held: list[tuple[Answers, Mapping[int, Sequence[Any]], Sequence[int]]] = field(default_factory=list)
    count: int = 0

    @classmethod
    def chosen(cls, asked: RowOptions, format: str | None, precision: int | None, output: str | None) -> RowStream:
        """Raises click.UsageError where the options contradict each other."""
        points, skip_bad = asked.points, asked.skip_bad is not None
        more = (asked.keep, asked.delimiter, asked.skip_bad == "keep", asked.place)
        if points is None:
            given = {"--skip-bad": skip_bad, "--keep": asked.keep, "--cluster": asked.place, "--delimiter": True}
            option = next(name for name, value in given.items() if value)
            raise click.UsageError(f"{option} is about the rows of --points.")
        _check_files(points, output, asked.place)
        if format not in (None, *FORMATS):
            raise click.UsageError(f"--points writes {', '.join(FORMATS)}, and not --format {format}.")
        if output is None:
            format = format or ("table" if is_terminal(sys.stdout) else "csv")
            return cls(points, skip_bad, format, precision, None, *more)
        written = ENDINGS.get(os.path.splitext(output)[1].lower())
        if written is None:
            raise click.UsageError(f"--output {output}: with --points the file must end in {', '.join(ENDINGS)}.")
        if format not in (None, written) and {format, written} != {"json", "ndjson"}:
            raise click.UsageError(f"--format {format} contradicts --output {output}.")
        return cls(points, skip_bad, written, precision, output, *more)

    def deliver(self, program: Loaded, ask: Ask) -> None:
        """Read rows, answer, and write, as long as there are rows."""
        if self.output is None:
            self._run(program, ask, lambda text: write(text, verbatim=True))
            return
        if "*" in self.output:
            from gradcli.features.points.files import files_of, numbered

            files = files_of(self.path, self.output, *numbered(self.place))
            if files.done:
                tell(f"{counted(files.done, 'file')} of {files.done + len(files.left)} done before\n")
            for path, output in files.left:
                replace(self, path=path, _held=[]).write_to(output, program, ask)
            return
        self.write_to(self.output, program, ask)

    def write_to(self, output: str, program: Loaded, ask: Ask) -> None:
        """A file appears whole or not at all: a bad row leaves none."""
        from gradcli.data import write_atomically

        write_atomically(output, lambda file: self._run(program, ask, lambda text: void(file.write(text.encode()))))

    def _run(self, program: Loaded, ask: Ask, send: Callable[[str], None]) -> None:
        from gradcli.data.files import is_table
        from gradcli.data.memory import Memory
        from gradcli.data.rows import Stream
        from gradcli.features.points.answer import Points
        from gradcli.features.points.crew import Crew

        name = "<stdin>" if self.path == "-" else self.path
        points = Points(program, ask, name, self.skip_bad)
        with _opened(self.path) as (file, size), _bar(size, self.output is not None) as bar:
            memory = Memory(program.max_memory)
            if is_table(self.path):
                from gradcli.data.arrow import Tables

                source: Any = Tables(self.path, points.field_of, self.skip_bad, memory, self.keep)
            else:
                source = Stream(file, name, points.field_of, self.skip_bad, memory, self.keep, self.delimiter)
            run = _Run(self, points, source, send, bar)
            alone = program.accelerator is not None or program.max_memory is not None
            number = 1 if alone else program.threads or processors()
            with Crew(
                number, run.answered, run.take, run.state, lambda: 1 - source.read / size if size else None
            ) as crew:
                for piece in _as_read(source.pieces(), name):
                    if piece:
                        crew.give(piece)
                    crew.idle(source.source)
                crew.rest()
            send(self.end())

    def tell(self, bad: list[tuple[int, GradcliError]], bar: _Bar | None) -> None:
        """Raise the error of a bad row, or say that it is passed over."""
        for _, problem in bad:
            if not self.skip_bad:
                if self.output is None:
                    write(self.end())  # the rows of a table that were answered
                problem.help = problem.help or "`--skip-bad` passes over such rows"
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

    def lines(self, points: Points, rows: Rows) -> Iterator[tuple[str, list[tuple[int, GradcliError]]]]:
        """The lines of rows, and after each part of them the rows that are bad there."""
        self.keep = self.keep if rows.keep is None else rows.keep
        unread = list(rows.bad)
        for answers in points.answers(rows) if len(rows.numbers) or not rows.bad else ():
            bad = list(answers.bad)
            if unread:
                last = max([*answers.numbers.tolist(), *[n for n, _ in answers.bad]], default=0)
                bad += [(n, problem) for n, problem in unread if n < last]
                unread = [(n, problem) for n, problem in unread if n > last]
            yield self._text(answers, rows.kept, [n for n, _ in bad]), sorted(bad, key=lambda pair: pair[0])
        if unread:
            yield self._of_bad(rows.kept, [n for n, _ in unread]), unread

    def _text(self, answers: Answers, kept: Mapping[int, Sequence[Any]], bad: Sequence[int]) -> str:
        """The lines of some rows, below the header if they are the first ones; ``bad`` are rows between them."""
        from gradcli.features.points import look as form

        count = len(answers.numbers)
        self.count += count
        values = form.rounded_to(answers.values, self.precision)
        if self.format in ("json", "ndjson"):
            text = form.json_lines([item.path for item in answers.items], values, count)
            if not self.keep and not self.keep_bad:
                return text
            numbers = answers.numbers.tolist()
            lines = form.after_kept(text, self.keep, [kept.get(n, ()) for n in numbers])
            return "".join([line for _, line in sorted([*zip(numbers, lines, strict=True), *self._empty(kept, bad)])])
        if self.format == "table":
            self._held.append((answers._replace(values=list(values)), kept, bad))
            if self.count <= LONGEST_TABLE:
                return ""
            # Too many for a table: what was held is written as CSV, and all that follows.
            self.format = "csv"
            held, self._held, self.count = self._held, [], 0
            return "".join([self._text(*earlier) for earlier in held])
        labels = [item.label for item in answers.items]
        header = form.headings(labels, values)
        start = ""
        if self.header is None:
            self.header, start = header, form.csv_header(labels, values, self.keep)
        elif header != self.header:
            raise GradcliError(
                "ValueError", f"row {answers.numbers[0]} has the results {', '.join(header)}, not those of the header"
            )
        text = form.csv_lines(values, count)
        if self.keep or self.keep_bad:
            numbers = answers.numbers.tolist()
            fields = [form.csv_fields(kept.get(n, ())) for n in numbers]
            lines = [f"{before}{line}\n" for before, line in zip(fields, text.splitlines(), strict=True)]
            text = "".join([line for _, line in sorted([*zip(numbers, lines, strict=True), *self._empty(kept, bad)])])
        return start + text

    def _empty(self, kept: Mapping[int, Sequence[Any]], bad: Sequence[int]) -> list[tuple[int, str]]:
        """A line for each bad row, where these are kept, with its number."""
        from gradcli.features.points import look as form

        if not self.keep_bad:
            return []
        if self.format in ("json", "ndjson"):
            return [(n, line) for n in bad for line in form.after_kept("{}\n", self.keep, [kept.get(n, ())])]
        columns = len(self.header or ())
        nothing = "," * (columns - 1) + "\n"
        return [(n, form.csv_fields(kept.get(n) or [""] * len(self.keep)) + nothing) for n in bad]

    def _of_bad(self, kept: Mapping[int, Sequence[Any]], bad: Sequence[int]) -> str:
        """The lines of rows that could not be read, where these are kept."""
        if self.format == "table":
            if self.keep_bad and bad and self._held:
                answers, known, others = self._held[-1]
                self._held[-1] = answers, {**known, **kept}, [*others, *bad]
            return ""
        return "".join([line for _, line in self._empty(kept, bad)])

    def end(self) -> str:
        """The table of the rows held, if that is what is written."""
        held, self._held = self._held, []
        if not held:
            return ""
        from gradcli.features.points import look as form

        labels = [item.label for item in held[0][0].items]
        header = form.headings(labels, held[0][0].values)
        rows: list[tuple[int, Sequence[str]]] = []
        for answers, kept, bad in held:
            cells = form.cells(answers.values, len(answers.numbers))
            good = zip(answers.numbers.tolist(), cells, strict=True)
            rows += [(n, [*map(str, kept.get(n, ())), *row]) for n, row in good]
            if self.keep_bad:
                empty = [""] * len(header)
                rows += [(n, [*map(str, kept.get(n) or [""] * len(self.keep)), *empty]) for n in bad]
        rows.sort(key=lambda row: row[0])
        numbers = [number for number, _ in rows]
        shown = screen() if is_terminal(sys.stdout) else None
        return form.table([*self.keep, *header], numbers, [row for _, row in rows], shown)


class _Run:
    """A stream that is answered: here, or in other processes of a :class:`gradcli.features.points.crew.Crew`."""

    def __init__(
        self, asked: RowStream, points: Points, source: Any, send: Callable[[str], None], bar: _Bar | None
    ) -> None:
        self._asked = asked
        self._points = points
        self._source = source
        self._send = send
        self._bar = bar

    def answered(self, piece: Any) -> tuple[int, str] | None:
        """How many rows a piece has, and their lines; None where one is bad, or what comes after depends on it."""
        before, count = self.state(), self._asked.count
        texts: list[str] = []
        try:
            for rows in self._source.rows(piece):
                for text, bad in self._asked.lines(self._points, rows):
                    if bad:
                        return None
                    texts.append(text)
        except Exception:  # noqa: BLE001  whoever asks answers it again, and sees it there
            return None
        return (self._asked.count - count, "".join(texts)) if self.state() == before else None

    def take(self, piece: Any, found: tuple[int, str] | None) -> None:
        """Hand on the lines of a piece, which are still to be found where they are None."""
        if found is not None:
            count, text = found
            self._source.skip(count)
            self._asked.count += count
            self._send(text)
            self._show(self._source.read)
            return
        for rows in self._source.rows(piece):
            for text, bad in self._asked.lines(self._points, rows):
                self._send(text)
                self._asked.tell(bad, self._bar)
                self._show(rows.read)

    def _show(self, read: int) -> None:
        if self._bar is not None:
            self._bar.update(read, self._asked.count)

    def state(self) -> object:
        """What lines depend on, beside the rows."""
        return self._asked.format, self._asked.header, self._points.state, self._source.state


def _check_files(points: str, output: str | None, place: Place | None) -> None:
    """Raises click.UsageError where it is not clear which files are read and written."""
    if "*" not in points or os.path.exists(points):  # one file
        if place is not None:
            raise click.UsageError("--cluster shares the files of a pattern, such as --points 'part-*.csv'.")
        if output is not None and "*" in output:
            raise click.UsageError(f"--output {output}: * stands for what it stands for in --points, which has none.")
        return
    if points.count("*") > 1:
        raise click.UsageError(f"--points {points}: a pattern has one *.")
    if output is None or output.count("*") != 1:
        raise click.UsageError(f"--points {points} needs an --output with one *, such as 'out-*.csv': a file for each.")


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


def _as_read(pieces: Iterator[Any], name: str) -> Iterator[Any]:
    """The pieces of a stream; a DataError where the stream cannot be read on."""
    while True:
        try:
            piece = next(pieces)
        except StopIteration:
            return
        except OSError as problem:
            from gradcli.data import unreadable

            raise unreadable(name, problem) from None
        yield piece


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

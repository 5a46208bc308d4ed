"""Where results go: standard output in the format asked for, or a file written whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from gradcli.commands.endings import for_people, is_terminal, silence_standard_output, stream_has_color
from gradcli.diagnostics import GradcliError, listed
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.report.reply import Answer
    from gradcli.report.tables import Screen

ENDINGS = (".npz", ".json", ".csv")


class Destination(NamedTuple):
    """The options of :func:`gradcli.commands.options.output_options`, checked before anything is computed."""

    format: str
    precision: int | None
    path: str | None

    @classmethod
    def chosen(
        cls, format: str | None, precision: int | None, output: str | None, endings: Sequence[str] = ENDINGS
    ) -> Destination:
        """Raises click.UsageError unless the ending of ``output`` is one of ``endings`` and agrees with ``format``."""
        if output is None:
            return cls(format or ("table" if is_terminal(sys.stdout) else "plain"), precision, None)
        ending = os.path.splitext(output)[1].lower()
        if ending not in endings:
            raise click.UsageError(f"--output {output}: the file must end in {listed(endings, 'or')}.")
        if format is not None and format != ending[1:]:
            raise click.UsageError(f"--format {format} contradicts --output {output}.")
        return cls(ending[1:], precision, output)

    def is_drawn(self) -> bool:
        """Whether it is a table on a terminal, where numbers are shortened."""
        return self.path is None and self.format == "table" and is_terminal(sys.stdout)

    def deliver(self, answer: Answer) -> None:
        """Write the answer piece by piece, for its text may take many times the memory of its numbers."""
        answer = answer.rounded(self.precision)
        if self.path is None:
            table = self.format == "table"
            write_pieces(answer.pieces(self.format, screen(self.precision) if self.is_drawn() else None), not table)
            return
        if self.format == "npz":
            from gradcli.data import write_atomically, write_npz

            write_atomically(self.path, lambda file: write_npz(file, answer.arrays()))
        else:
            send(answer.pieces(self.format, None), self.path)


def screen(precision: int | None = None) -> Screen:
    """What the terminal on standard output can show."""
    from gradcli.report.tables import Screen

    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    import shutil

    columns = shutil.get_terminal_size().columns
    return Screen(columns, stream_has_color(sys.stdout), encoding.startswith("utf"), precision)


def write(text: str, verbatim: bool = False) -> None:
    """Write a text to standard output (see :func:`write_pieces`)."""
    write_pieces([text], verbatim)


def show_page(text: str) -> None:
    """Write a text to standard output; one that a terminal is too low for goes through the pager ($PAGER, or less)."""
    import shutil

    if not is_terminal(sys.stdout) or text.count("\n") < shutil.get_terminal_size().lines:
        write(text)
        return
    from gradcli.commands import stopping

    stopping.tolerated = sys.maxsize  # Ctrl-C belongs to the pager
    click.echo_via_pager(for_people(text, sys.stdout), color=stream_has_color(sys.stdout))


def send(pieces: Iterable[str], path: str | None, verbatim: bool = False) -> None:
    """Write to a file, whole or not at all, or without a path to standard output (see :func:`write_pieces`)."""
    if path is None:
        write_pieces(pieces, verbatim)
        return
    from gradcli.data import write_atomically

    write_atomically(path, lambda file: file.writelines(piece.encode() for piece in pieces))


def write_pieces(pieces: Iterable[str], verbatim: bool = False) -> None:
    """Write to standard output and see that it arrives. In a pipe the text is UTF-8, whatever the locale.

    Characters that a terminal would obey become visible. In a pipe ``verbatim`` texts keep them: a program, or a form for
    machines, whose writer has quoted what it holds.
    """
    stream = sys.stdout
    if stream is None:
        raise GradcliError("DataError", "standard output is closed")
    shown = is_terminal(stream) or not verbatim
    encoding = stream.encoding if is_terminal(stream) else "utf-8"
    try:
        stream.flush()
        buffer = getattr(stream, "buffer", None)
        for piece in pieces:
            text = for_people(piece, stream) if shown else piece
            if buffer is None:
                stream.write(text)
            else:
                buffer.write(text.encode(encoding or "utf-8", errors="replace"))
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as problem:
        silence_standard_output()
        reason = problem.strerror or str(problem)
        raise GradcliError("DataError", f"cannot write to standard output: {reason}") from None

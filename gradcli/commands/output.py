"""Where results go: standard output in the format asked for, or a file written whole or not at all."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import click

from gradcli.commands.endings import is_terminal, silence_standard_output, stream_has_color
from gradcli.diagnostics import GradcliError

if TYPE_CHECKING:
    from gradcli.report.reply import Reply
    from gradcli.report.tables import Screen

ENDINGS = (".npz", ".json", ".csv")


@dataclass(frozen=True, slots=True)
class Destination:
    """The options of :func:`gradcli.commands.options.output_options`, checked before anything is computed."""

    format: str
    precision: int | None
    path: str | None

    @classmethod
    def chosen(cls, format: str | None, precision: int | None, output: str | None) -> Destination:
        """Raises click.UsageError if the ending of ``output`` is none of the three or contradicts ``format``."""
        if output is None:
            return cls(format or ("table" if is_terminal(sys.stdout) else "plain"), precision, None)
        ending = os.path.splitext(output)[1].lower()
        if ending not in ENDINGS:
            raise click.UsageError(f"--output {output}: the file must end in .npz, .json or .csv.")
        if format is not None and format != ending[1:]:
            raise click.UsageError(f"--format {format} contradicts --output {output}.")
        return cls(ending[1:], precision, output)

    def deliver(self, reply: Reply) -> None:
        """Render the whole reply, then write it."""
        reply = reply.rounded(self.precision)
        if self.path is None:
            write(rendered(reply, self.format))
            return
        from gradcli.data import write_atomically

        if self.format == "npz":
            write_atomically(self.path, lambda file: _write_npz(file, reply))
        else:
            write_atomically(self.path, rendered(reply, self.format).encode())


def rendered(reply: Reply, format: str) -> str:
    """The reply as text."""
    if format == "table":
        if is_terminal(sys.stdout):
            from gradcli.report import tables

            return tables.render(reply, screen())
        from gradcli.report import columns

        return columns.render(reply)
    if format == "plain":
        from gradcli.report import plain

        return plain.render(reply)
    if format == "csv":
        from gradcli.report import as_csv

        return as_csv.render(reply)
    from gradcli.report import as_json

    return as_json.render(reply) if format == "json" else as_json.render_lines(reply)


def screen() -> Screen:
    """What the terminal on standard output can show."""
    from gradcli.report.tables import Screen

    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    return Screen(shutil.get_terminal_size().columns, stream_has_color(sys.stdout), encoding.startswith("utf"))


def write(text: str) -> None:
    """Write to standard output and see that it arrives. In a pipe the text is UTF-8, whatever the locale."""
    stream = sys.stdout
    if stream is None:
        raise GradcliError("DataError", "standard output is closed")
    encoding = stream.encoding if is_terminal(stream) else "utf-8"
    try:
        stream.flush()
        buffer = getattr(stream, "buffer", None)
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


def _write_npz(file: IO[bytes], reply: Reply) -> None:
    from gradcli.data import write_npz

    # With several orders a name stands in the file once for each: order2/x.
    arrays = {
        (f"order{order}/{result.name}" if reply.every_order else result.name): result.value
        for order, results in reply.orders
        for result in results
        if result.connected
    }
    write_npz(file, arrays)

"""A progress bar on a terminal, for what takes long; imported only where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from types import TracebackType
    from typing import TextIO


class Bar:
    """Rows done, and where ``total`` bytes are known how far that is; gone at the end."""

    def __init__(self, stream: TextIO, total: int | None, color: bool) -> None:
        console = Console(file=stream, force_terminal=True, no_color=not color, legacy_windows=False)
        columns = [
            SpinnerColumn(), TextColumn("{task.fields[rows]:,} rows"), BarColumn(), TimeElapsedColumn(),
            *([TimeRemainingColumn()] if total else []),
        ]  # fmt: skip
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task("", total=total, rows=0)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._progress.stop()

    def update(self, read: int, rows: int) -> None:
        """So many bytes were read, so many rows written."""
        self._progress.update(self._task, completed=read, rows=rows)

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

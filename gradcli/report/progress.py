"""A progress bar on a terminal, for what takes long; imported only where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self, TextIO

TEXT = TextColumn("{task.fields[text]}", markup=False)


class _Line:
    """A line at the bottom of the terminal, gone at the end."""

    def __init__(self, stream: TextIO, color: bool, columns: list[ProgressColumn], total: int | None) -> None:
        console = Console(file=stream, force_terminal=True, no_color=not color, legacy_windows=False)
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task("", total=total, text="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


class Bar(_Line):
    """Rows done, and where ``total`` bytes are known how far that is."""

    def __init__(self, stream: TextIO, total: int | None, color: bool) -> None:
        left = [TimeRemainingColumn()] if total else []
        super().__init__(stream, color, [SpinnerColumn(), TEXT, BarColumn(), TimeElapsedColumn(), *left], total)
        self.update(0, 0)

    def update(self, read: int, rows: int) -> None:
        """Bytes read and rows written so far."""
        self._progress.update(self._task, completed=read, text=f"{rows:,} rows")


class Steps(_Line):
    """Steps done of ``total``, and a text about the last one."""

    def __init__(self, stream: TextIO, total: int, color: bool) -> None:
        super().__init__(
            stream, color, [SpinnerColumn(), TEXT, BarColumn(20), TimeRemainingColumn(compact=True)], total
        )

    def update(self, step: int, text: str) -> None:
        self._progress.update(self._task, completed=step, text=text)

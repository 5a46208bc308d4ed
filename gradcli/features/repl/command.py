"""``gradcli repl``: statements and expressions as they are typed, and the other commands for the program that they make."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from gradcli.commands import stopping
from gradcli.commands.endings import Command, is_terminal
from gradcli.commands.options import INPUT_FILE
from gradcli.features.repl import prompt

if TYPE_CHECKING:
    from gradcli.features.repl.answer import Dialogue

EPILOG = """\b
Examples:
  gradcli
  gradcli repl
  gradcli repl model.expr
  printf 'x = 3\\nx^2\\n' | gradcli repl

\b
At the prompt:
  variable x = 2.0
  x^2 + sin(x)
  :grad x^2 + sin(x) --order 2
  :set x=3
  :help
"""


@click.command("repl", cls=Command, epilog=EPILOG)
@click.argument("file", required=False, type=INPUT_FILE)
def command(file: str | None) -> int:
    """Read definitions, expressions and questions, and answer each.

    FILE is a program to begin with. In a pipe the lines are read without a prompt, and the exit status is 1 if one of
    them was wrong. Editing, colours and completion need the extra gradcli[repl].
    """
    # What answers is imported after the prompt stands, while people think of what to type.
    dialogue = _begun(file) if file is not None else None

    def complete(line: str) -> list[str]:
        nonlocal dialogue
        dialogue = dialogue or _begun()
        return list(dialogue.completions(line))

    typed = is_terminal(sys.stdin) and is_terminal(sys.stdout)
    read = prompt.reader(complete, typed)
    failed = False
    while not _is_over():
        stopping.tolerated = sys.maxsize  # Ctrl-C ends a run, not the session
        try:
            text = read()
        except EOFError:
            break
        except KeyboardInterrupt:
            continue
        if text.strip() in (":quit", ":q", ":exit", "exit", "quit", "exit()", "quit()"):
            break
        dialogue = dialogue or _begun()
        failed |= not dialogue.answered(text)
    prompt.keep_history()
    return stopping.status() if _is_over() else int(failed and not typed)


def _begun(file: str | None = None) -> Dialogue:
    from gradcli.features.repl.answer import Dialogue

    dialogue = Dialogue()
    if file is not None:
        dialogue.load(file)
    return dialogue


def _is_over() -> bool:
    """Whether a signal other than Ctrl-C has arrived."""
    import signal

    return stopping.received not in (None, signal.SIGINT)

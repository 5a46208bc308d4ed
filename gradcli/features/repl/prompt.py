"""What is typed at the prompt: by prompt_toolkit where it is installed, else by ``input`` with readline."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from gradcli.diagnostics import GradcliError, Source

if TYPE_CHECKING:
    from prompt_toolkit.document import Document
    from prompt_toolkit.formatted_text import StyleAndTextTuples

Complete = Callable[[str], Sequence[str]]
"""The words that the last one of a line may be completed to."""

PROMPT, MORE = ">>> ", "... "
INDENT = "    "


class Reader(Protocol):
    """Gives what is typed, one statement or several; EOFError at the end, KeyboardInterrupt for what is given up."""

    def __call__(self) -> str: ...


def reader(complete: Complete, typed: bool) -> Reader:
    """What reads what is ``typed`` at a terminal, or without prompts from a pipe."""
    if not typed:
        return lambda: _several(_line)
    history = _history_file()
    if os.environ.get("TERM") != "dumb":
        toolkit = _with_toolkit(complete, history)
        if toolkit is not None:
            return toolkit
    _with_readline(complete, history)
    return lambda: _several(_input)


def _input(prompt: str) -> str:
    try:
        return input(prompt)
    except (EOFError, KeyboardInterrupt):
        print()  # noqa: T201
        raise


def _line(_: str) -> str:
    if sys.stdin is None:
        raise GradcliError("DataError", "standard input is closed")
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\r\n")


def _several(ask: Callable[[str], str]) -> str:
    """Lines until no bracket is open."""
    from gradcli.program.growing import is_complete

    text = ask(PROMPT)
    while not is_complete(text):
        try:
            text += "\n" + ask(MORE)
        except EOFError:
            return text
    return text


def _history_file() -> str | None:
    """Where what has been typed is kept from one session to the next, if it can be."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    path = os.path.join(state, "gradcli", "history")
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(path, "a", encoding="utf-8"):
            return path
    except OSError:
        return None


def _with_readline(complete: Complete, history: str | None) -> None:
    try:
        import readline
    except ImportError:  # such as on Windows
        return
    found: list[str] = []

    def completer(word: str, state: int) -> str | None:
        if state == 0:
            found[:] = complete(readline.get_line_buffer()[: readline.get_endidx()])
        return found[state] if state < len(found) else None

    readline.set_completer(completer)
    readline.set_completer_delims(" \t\n()[]{}+-*/^@=<>,;")
    readline.parse_and_bind("tab: complete")
    if history is not None:
        from contextlib import suppress

        with suppress(OSError):
            readline.read_history_file(history)
        readline.set_history_length(2000)


def keep_history() -> None:
    """Write readline's history at the end; prompt_toolkit writes each line when it is typed."""
    readline = sys.modules.get("readline")
    path = _history_file()
    if readline is not None and "prompt_toolkit" not in sys.modules and path is not None:
        readline.write_history_file(path)


def _with_toolkit(complete: Complete, history: str | None) -> Reader | None:
    import importlib.util

    if importlib.util.find_spec("prompt_toolkit") is None:
        return None
    # The library takes longer to be imported than all else: the prompt is there before it, and what is typed is kept.
    sys.stdout.write(PROMPT)
    sys.stdout.flush()
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.filters import completion_is_selected, has_completions
    from prompt_toolkit.history import FileHistory, InMemoryHistory
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
    from prompt_toolkit.lexers import Lexer
    from prompt_toolkit.shortcuts import PromptSession
    from prompt_toolkit.styles import Style

    class Words(Completer):
        def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
            from gradcli.features.repl.answer import last_word

            line = document.current_line_before_cursor
            word = last_word(line)
            yield from [Completion(found, -len(word)) for found in complete(line)]

    class Colors(Lexer):
        def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
            lines: list[StyleAndTextTuples] = [[]]
            for style, text in styled(document.text):
                first, *others = text.split("\n")
                lines[-1].append((style, first))
                lines += [[(style, line)] for line in others]
            return lambda number: lines[number] if number < len(lines) else []

    keys = KeyBindings()

    @keys.add("enter", filter=~(has_completions & completion_is_selected))
    def _(event: KeyPressEvent) -> None:
        from gradcli.program.growing import is_complete

        buffer = event.current_buffer
        if is_complete(buffer.text) or not buffer.document.current_line.strip():
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n" + INDENT * (buffer.document.text_before_cursor.rstrip().endswith("{")))

    session: PromptSession[str] = PromptSession(
        PROMPT,
        multiline=True,
        prompt_continuation=MORE,
        key_bindings=keys,
        completer=Words(),
        complete_while_typing=False,
        lexer=Colors() if not os.environ.get("NO_COLOR") else None,
        style=Style.from_dict({"keyword": "ansimagenta", "operation": "ansicyan", "number": "ansigreen",
                               "string": "ansiyellow", "comment": "ansibrightblack", "command": "ansiblue"}),
        history=FileHistory(history) if history is not None else InMemoryHistory(),
    )  # fmt: skip
    sys.stdout.write("\r\x1b[K")
    sys.stdout.flush()
    return lambda: session.prompt(handle_sigint=False)


def styled(text: str) -> Iterator[tuple[str, str]]:
    """The pieces of a text, which make it up, each with its style: by the tokens of the grammar."""
    from gradcli.language.builtin import OPERATIONS
    from gradcli.language.pieces import pieces

    if text.startswith(":"):
        command = text.split(maxsplit=1)[0]
        yield "class:command", command
        yield "", text[len(command) :]
        return
    at = 0
    for piece in pieces(Source("", text)):
        yield "", text[at : piece.start]
        word, at = text[piece.start : piece.end], piece.end
        yield "class:operation" if piece.sort == "name" and word in OPERATIONS else f"class:{piece.sort}", word
    yield "", text[at:]

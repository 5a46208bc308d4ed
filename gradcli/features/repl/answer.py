"""What a line at the prompt is answered: a statement, an expression, or a command for the program so far."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from gradcli.commands.endings import report_failure, tell
from gradcli.commands.inputs import Inputs, ProgramText
from gradcli.commands.main import COMMANDS, cli, run
from gradcli.commands.output import write
from gradcli.diagnostics import did_you_mean
from gradcli.language import syntax
from gradcli.program import growing
from gradcli.program.growing import NAME, Growing

if TYPE_CHECKING:
    from gradcli.program.loaded import Loaded

ABOUT = """\
  x = [1.0, 2.0]             a definition; defined anew, what depends on it follows
  variable k = 3.0           what is differentiated; :set k=4 gives it another value
  k*sum(x^2)                 an expression is answered
  :grad                      the gradient of the program by its variables
  :grad k*sum(x^2) --wrt k   any command, of names or of an expression, with its options:
                             {commands}
  :set NAME=EXPR|@FILE       a value for a variable or constant
  :list  :undo  :quit        the program; the last change taken back; the end (Ctrl-D)
  :save FILE  :load FILE     the program to a file, from a file
  :help TOPIC                the manual; :help lists it below this

Tab completes names, operations, commands and options. Brackets go on over several lines. Ctrl-C gives up a line or a run.
"""

NOT_HERE = ("examples", "format", "help", "repl", "server")
"""Commands that ask nothing about a program, or that need its file."""

ASKED = tuple(name for name in COMMANDS if name not in NOT_HERE)


class Dialogue:
    """A session, and the answers to what is typed in it."""

    def __init__(self) -> None:
        self.session = Growing()
        self.own: dict[str, Callable[[str], object]] = {
            "help": self.help,
            "list": lambda _: write(self.session.text()),
            "load": lambda rest: self.load(_path(rest)),
            "save": self.save,
            "set": self.set,
            "undo": self.undo,
        }

    def answered(self, text: str) -> bool:
        """Do what a text says; whether it was right."""
        try:
            if text.lstrip().startswith(":"):
                name, _, rest = text.strip()[1:].partition(" ")
                return self._asked(name, rest.strip())
            return all([self._taken(*found) for found in growing.entries(text)])
        except KeyboardInterrupt:
            tell("interrupted\n")
        except click.UsageError as problem:
            tell(f"{problem.format_message()}\n")
        except Exception as problem:  # noqa: BLE001  as at the end of a command
            report_failure(problem, as_json=False)
            self._advise(text)
        return False

    def _advise(self, text: str) -> None:
        """Say it where what was wrong looks like a command."""
        word = text.split(maxsplit=1)[0] if text.strip() else ""
        if word in (*ASKED, *self.own, "?") and word not in self.session.names():
            tell(f"Commands begin with a colon: `:{text.strip()}`.\n" if word != "?" else ":help says what there is.\n")

    def _taken(self, entry: growing.Entry, statement: syntax.Statement) -> bool:
        if isinstance(statement, syntax.Bare):
            right = self._run(["eval", "--of", "ans"], entry.text)
            if not right:
                self._advise(entry.text)
            return right
        self.session.add(entry, statement)
        return True

    def _run(self, arguments: list[str], expression: str = "") -> bool:
        """A command line with the program of the session, and an expression as its last line."""
        program = ProgramText(self.session.text() + expression, NAME, self.session.folder, inline=True)
        status = run(arguments, program)
        if status > 128:
            tell("interrupted\n")
        return status == 0

    def _asked(self, name: str, rest: str) -> bool:
        """Do what a line says that begins with a colon."""
        if name in self.own:
            self.own[name](rest)
            return True
        if name not in ASKED:
            close = did_you_mean(name, [*ASKED, *self.own, "quit"])
            hint = f"Did you mean :{close}?" if close else ":help lists what there is."
            raise click.UsageError(f"There is no :{name}. {hint}")
        at = match.start() if (match := re.search(r"(?:^|\s)--[a-z]", rest)) else len(rest)
        asked, options = rest[:at].strip(), _words(rest[at:])
        if not asked:
            return self._run([name, *options])
        if name == "ops":
            return self._run([name, asked, *options])
        if re.fullmatch(r"[^\W\d]\w*(\s*,\s*\w+)*", asked):
            return self._run([name, "--of", asked, *options])
        return self._run([name, "--of", "ans", *options], asked)

    # lines that begin with a colon and are not commands

    def help(self, rest: str) -> None:
        if rest:
            run(["help", *_words(rest)])
        else:
            write(ABOUT.format(commands=" ".join([f":{name}" for name in ASKED])))

    def undo(self, _: str) -> None:
        if not self.session.undo():
            raise click.UsageError("There is nothing to undo.")

    def load(self, path: str) -> None:
        """Begin anew with a file. Raises GradcliError."""
        text = Inputs(path, ()).program_text()
        self.session.replace(text.text, text.folder)

    def save(self, rest: str) -> None:
        from gradcli.data import write_atomically

        write_atomically(_path(rest), self.session.text().encode())

    def set(self, rest: str) -> None:
        """Write a value into a declaration; a name that is free becomes a variable."""
        name, equals, value = (part.strip() for part in rest.partition("="))
        if not equals or not name.isidentifier() or not value:
            raise click.UsageError("Write :set NAME=EXPR, or :set NAME=@FILE for what a file holds.")
        declared = "" if name in self.session.names() else f"variable {name}\n"
        text = ProgramText(self.session.text() + declared, NAME, self.session.folder)
        program = Inputs(None, (), {name: value}).load(text)
        self.session.replace(_with_value(program, name), self.session.folder)

    def completions(self, line: str) -> Iterator[str]:
        """What the last word of a line may become."""
        word = last_word(line)
        if word.startswith(":"):
            yield from [f":{name}" for name in sorted([*ASKED, *self.own, "quit"]) if f":{name}".startswith(word)]
        elif word.startswith("--"):
            command = cli.get_command(click.Context(cli), line[1:].split()[0]) if line.startswith(":") else None
            yield from sorted([o for p in (command.params if command else ()) for o in p.opts if o.startswith(word)])
        elif re.match(r":(?:save|load)\s", line):
            folder, name = os.path.split(word)
            with_folders = os.listdir(folder or ".") if os.path.isdir(folder or ".") else []
            yield from sorted([os.path.join(folder, found) for found in with_folders if found.startswith(name)])
        elif word:
            from gradcli.language.builtin import OPERATIONS
            from gradcli.language.inspection import words_of_language

            names = dict.fromkeys([*self.session.names(), *sorted([*OPERATIONS, *words_of_language()])])
            yield from [name for name in names if name.startswith(word)]


def last_word(line: str) -> str:
    """What a completion takes the place of."""
    pattern = r"[^\s]*$" if re.match(r":(?:save|load)\s", line) else r"(?:^:\w*|--[\w-]*|\w*)$"
    match = re.search(pattern, line)
    return match[0] if match else ""


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as problem:
        raise click.UsageError(f"Options are quoted as in a shell: {problem}.") from None


def _path(rest: str) -> str:
    words = _words(rest)
    if len(words) != 1:
        raise click.UsageError("Name one file, such as model.expr.")
    return os.path.expanduser(words[0])


def _with_value(program: Loaded, name: str) -> str:
    """The text of a program with the value that a variable or constant has been given in its declaration."""
    from gradcli.features.fit.look import with_values
    from gradcli.program import answers

    dtype = next((s.name.id for s in program.syntax.statements if isinstance(s, syntax.Dtype)), "float64")
    return with_values(program.source, answers.values(program, [name]), dtype)

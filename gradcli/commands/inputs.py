"""What a command reads: the program from FILE, -e or standard input, and the values for its names."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Self, TypeVar

import click

from gradcli.commands.endings import is_terminal
from gradcli.commands.options import INPUT_FILE, Bytes, Cluster, Device, settings_option, several_names, together, utf8
from gradcli.diagnostics import GradcliError, Source
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    import numpy

    from gradcli.data.memory import Memory
    from gradcli.data.reading import Values
    from gradcli.execute.accelerator import Accelerator
    from gradcli.execute.cluster import Cluster as Processes
    from gradcli.execute.cluster import Place
    from gradcli.execute.compiler import Native
    from gradcli.execute.profile import Figures
    from gradcli.language.values import Asked
    from gradcli.program.loaded import Loaded

    Value = str | numpy.ndarray[Any, Any]

F = TypeVar("F", bound=Callable[..., Any])

NO_PROGRAM = "There is no program: give a FILE, -e 'TEXT', or a program on standard input."


class ProgramText(NamedTuple):
    """A program before it is understood: its text, its name in messages, and where its ``load`` looks for files.

    ``inline``: it was typed, so an expression at its end is the answer. One that is the object of click's context is the
    program of all commands without another.
    """

    text: str
    name: str
    folder: str
    inline: bool = False


class Inputs(NamedTuple):
    """The options of :func:`gradcli.commands.options.program_options` as click hands them over."""

    file: str | None
    inline: tuple[str, ...]
    set_: Mapping[str, str] = {}
    values: str | None = None
    dtype: str | None = None
    random_seed: int = 0
    max_memory: int | None = None
    threads: int | None = None
    backend: str = "numpy"
    device: str | None = None
    devices: int | None = None
    cluster: Place | None = None
    quiet: bool = False
    processes: Processes | None = None

    def program_text(self, other_files: Iterable[str | None] = ()) -> ProgramText:
        """Read the program. ``other_files`` are the further options that may name standard input (``-``).

        Raises click.UsageError if there is no program, or if two things are to be read from standard input.
        """
        others = [self.values, *other_files]
        takers = [taker for taker in (self.file, *others) if taker == "-"]
        if self.file is not None and self.inline:
            raise click.UsageError("FILE and -e exclude each other: both give the program.")
        if len(takers) > 1:
            raise click.UsageError("Only one thing can be read from standard input (-).")
        if self.inline:
            return ProgramText(utf8("\n".join(self.inline), "<-e>"), "<-e>", "", inline=True)
        if self.file is None and (typed := click.get_current_context().find_object(ProgramText)) is not None:
            return typed
        if self.file is None and takers:
            raise click.UsageError(f"{NO_PROGRAM} Here standard input is taken by an option.")
        if self.file is None and (sys.stdin is None or is_terminal(sys.stdin)):
            raise click.UsageError(NO_PROGRAM)
        if self.file is None or self.file == "-":
            from gradcli.data import decode

            return ProgramText(decode(standard_input(self.memory()), "<stdin>"), "<stdin>", "")
        from gradcli.program.loaded import read_source

        shown = os.fsencode(self.file).decode("utf-8", errors="replace")
        if (set("=()+*^") & set(shown) or len(shown.split()) > 1) and not os.path.exists(self.file):
            brief = " ".join(shown.split())
            brief = brief if len(brief) <= 60 else brief[:59] + "…"
            command = click.get_current_context().info_name
            example = f": `gradcli {command} -e {shlex.quote(brief)}`" if brief == shown else ""
            help = f"-e 'TEXT' gives a program inline{example}"
            raise GradcliError("DataError", f"there is no file {brief}", help=help)
        return ProgramText(read_source(self.file), shown, os.path.dirname(self.file))

    def memory(self) -> Memory:
        """What reading files may take."""
        from gradcli.data.memory import Memory

        return Memory(self.max_memory)

    def load(self, text: ProgramText, asked: Asked | None = None) -> Loaded:
        """The program with its values; what it means is decided by the engine.

        With ``asked`` it is for a question about those names only.
        """
        from gradcli.commands.names import leaves

        settings: dict[str, Value] = {}
        if self.values is not None:
            settings |= entries_for(
                read_value_file(self.values, self.memory()), lambda: leaves(text.text), self.values, "sets"
            )
        memory = self.memory()
        for name, value in self.set_.items():
            settings[name] = value_of("--set", name, value, memory, self.processes)
        from gradcli.program.loaded import Loaded

        self._tell_of_words(text.text)
        try:
            return Loaded(
                Source(text.name, text.text),
                text.folder,
                self.dtype,
                self.random_seed,
                settings,
                self.max_memory,
                threads=self.threads,
                asked=asked,
                origins={
                    name: path_and_key(value)
                    for name, value in self.set_.items()
                    if value.startswith("@") and not GAPS.search(value)
                },
                inline=text.inline,
                accelerator=self.accelerator(),
            )
        except GradcliError as problem:
            if self.inline:
                _tell_of_set(problem)
            raise

    def accelerator(self) -> Accelerator | Native | None:
        """What computes values in place of NumPy, if something does. Raises click.UsageError where options contradict each other."""
        if self.backend != "jax":
            for option, value in (("--device", self.device), ("--devices", self.devices), ("--cluster", self.cluster)):
                if value is not None:
                    raise click.UsageError(f"{option} is for --backend jax.")
            if self.backend == "native":
                from gradcli.execute.compiler import Native

                return Native(None if self.quiet else _note_of_numpy())
            return None
        if self.threads is not None:
            raise click.UsageError("--threads is for --backend numpy: JAX chooses its own.")
        from gradcli.execute.accelerator import Accelerator

        if self.processes is not None:
            return Accelerator(self.device, self.processes.devices, self.processes)
        return Accelerator(self.device, self.devices or 1, heard=None if self.quiet else _note_of_numpy())

    @contextmanager
    def joined(self) -> Iterator[Self]:
        """These inputs as those of one of several processes, if there is a cluster. Raises click.UsageError, GradcliError."""
        if self.cluster is None:
            yield self
            return
        self.accelerator()
        if self.devices is not None or ":" in (self.device or ""):
            option = "--devices" if self.devices is not None else f"--device {self.device}"
            raise click.UsageError(f"{option} goes without --cluster, which uses all devices of its processes.")
        from gradcli.execute.cluster import joined

        with joined(self.cluster, self.device) as processes:
            yield self._replace(processes=processes)

    @property
    def speaks(self) -> bool:
        """Whether this process prints: of several the first one does."""
        return self.processes is None or self.processes.speaks

    def _tell_of_words(self, text: str) -> None:
        """Say that words are understood that are written otherwise here."""
        if self.quiet or not self.speaks or "True" not in text and "False" not in text:
            return
        if re.search(r"\b(True|False)\b", re.sub(r"#[^\n]*|\"[^\"\n]*\"|'[^'\n]*'", "", text)):
            from gradcli.commands.notes import Notes

            form = click.get_current_context().params.get("format")
            Notes(False, form in ("json", "ndjson")).say("True and False are read as `true` and `false`")


def _tell_of_set(problem: GradcliError) -> None:
    """Say where a typed program has a name that nothing binds that ``--set`` makes a variable of it."""
    from gradcli.language.suggestions import BIND

    for error in (problem, *problem.others):
        if error.span is not None and (error.help or "").startswith(BIND):
            error.help = f"give it a value, `--set {error.span.text}=1`, or {error.help}"


def _note_of_numpy() -> Callable[[Figures, float], None]:
    """What says once where NumPy would have answered sooner than what compiles."""
    said: list[bool] = []

    def heard(figures: Figures, seconds: float) -> None:
        if not said and figures.by_numpy < figures.tracing + figures.compiling + seconds:
            from gradcli.commands.notes import Notes

            said.append(True)
            form = click.get_current_context().params.get("format")
            Notes(False, form in ("json", "ndjson")).say(
                f"without --backend {figures.backend} the answer would have been there sooner"
            )

    return heard


def programs_in(paths: Iterable[str]) -> list[str]:
    """The files of some paths: for a folder the programs in it and below, in order; a DataError where it has none."""
    found: list[str] = []
    for path in paths:
        if not os.path.isdir(path):
            found.append(path)
            continue
        inside = [
            os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names if name.endswith(".expr")
        ]
        if not inside:
            raise GradcliError(
                "DataError",
                f"{path} is a folder, not a file, and has no program in it",
                help="their names end in .expr",
            )
        found += sorted(inside)
    return list(dict.fromkeys(found))


def program_options(function: Callable[..., Any], several: bool = False) -> Callable[..., Any]:
    """What says which program is run, and with which values and means: the argument ``inputs`` of the function.

    With ``several`` it is a list, of one for each FILE.
    """

    @wraps(function)
    def decorated(**values: Any) -> Any:
        own = {name: values.pop(name) for name in Inputs._fields if name in values}
        if not several:
            return function(inputs=Inputs(**own), **values)
        files = own.pop("file")
        if files and own["inline"]:
            raise click.UsageError("FILE and -e exclude each other: both give the program.")
        if files.count("-") > 1:
            raise click.UsageError("Only one thing can be read from standard input (-).")
        return function(inputs=[Inputs(file=file, **own) for file in programs_in(files) or (None,)], **values)

    return together(
        click.argument("file", nargs=-1, metavar="[FILE|FOLDER]...", type=INPUT_FILE)
        if several
        else click.argument("file", required=False, type=INPUT_FILE),
        click.option("-e", "inline", multiple=True, metavar="TEXT", help="The program itself: in place of FILE."),
        settings_option(
            "--set",
            "set_",
            help="Give a variable or constant a value: an expression of the language, or an array from a"
            " .npy, .npz, .csv or .json file, or one of these with .gz (FILE.npz:KEY chooses one of several,"
            " FILE.csv:a,b columns by name, FILE.csv:a one as a vector; so do .parquet, .arrow and .feather with"
            " gradcli[arrow]; ?missing=drop or ?missing=nan at the end says what becomes of gaps). Repeatable.",
        ),
        click.option(
            "--values",
            "values",
            type=INPUT_FILE,
            metavar="FILE|-",
            help="Values by name: a JSON object, an .npz file, or what gradcli printed (json, ndjson, plain)."
            " --set wins over it.",
        ),
        click.option(
            "--dtype",
            type=click.Choice(["float32", "float64"]),
            help="Precision of the program: in place of its dtype line.",
        ),
        click.option(
            "--random-seed",
            type=click.IntRange(0, 2**32 - 1),
            default=0,
            show_default=True,
            metavar="N",
            help="Seed of random numbers: of those without one of their own.",
        ),
        click.option(
            "--max-memory",
            type=Bytes(),
            metavar="SIZE",
            help="Refuse what needs more memory, before it starts: 500M, 2G (powers of 1024).",
        ),
        click.option(
            "--threads",
            type=click.IntRange(1, 1024),
            metavar="N",
            help="Threads for large arrays: by default one for each processor. Results differ by rounding only, and are"
            " the same at each run with the same N.",
        ),
        click.option("-q", "--quiet", is_flag=True, help="Leave out the notes on standard error."),
    )(decorated)


CLUSTER = click.option(
    "--cluster",
    type=Cluster(),
    metavar="auto|HOST:PORT,N,I",
    help="Be one of several processes that share the rows, with --backend jax: number I of N, 0 at this address; auto"
    " asks SLURM, Open MPI, Kubernetes or the TPUs. Number 0 prints and writes.",
)


def backend_options(function: F, cluster: bool = False) -> F:
    """What says which engine computes values, and where: part of ``inputs``, beside :func:`program_options`.

    With ``cluster`` the command may run in several processes, and :meth:`Inputs.joined` joins each.
    """
    places = "a --device, --devices or a --cluster" if cluster else "a --device, or --devices"
    return together(
        click.option(
            "--backend",
            type=click.Choice(["numpy", "jax", "native"]),
            default="numpy",
            show_default=True,
            help=f"What computes values, JAX on {places}. It compiles the program for a CPU, GPU or TPU; native has the C"
            " compiler of this machine compile it.",
        ),
        click.option(
            "--device",
            type=Device(),
            metavar="cpu|gpu|tpu[:N]",
            help="Where JAX computes: by default on the best that it finds; N is its number.",
        ),
        click.option(
            "--devices",
            type=click.IntRange(1),
            metavar="N",
            help="Share rows among N devices: those of the data, of --batch or of --points.",
        ),
        *[CLUSTER] * cluster,
    )(function)


def variables_apart(wrt: Iterable[str] | None) -> list[str]:
    """The names of ``--wrt`` without its patterns, which match variables only."""
    return [name for name in wrt or () if not any(c in name for c in "*?[")]


def standard_input(memory: Memory, cost: Callable[[bytes], int] = len) -> bytes:
    """All of standard input, as long as there is memory for it; a DataError where it cannot be read."""
    if sys.stdin is None:
        raise GradcliError("DataError", "standard input is closed")
    from gradcli.data import unreadable
    from gradcli.data.files import read_all

    try:
        return read_all(sys.stdin.buffer, "<stdin>", memory, cost)
    except OSError as problem:
        raise unreadable("<stdin>", problem) from None


def read_value_file(path: str, memory: Memory) -> Values:
    """The named values of a file or, for ``-``, of standard input."""
    from gradcli.data import read_bytes
    from gradcli.data.documents import cost
    from gradcli.data.reading import read_values

    data = standard_input(memory, cost) if path == "-" else read_bytes(path, memory, cost=cost)
    return read_values(data, "<stdin>" if path == "-" else path, memory)


def entries_for(values: Values, known: Callable[[], Iterable[str]], path: str, verb: str) -> dict[str, Value]:
    """The entries that concern a program.

    Of a reply of gradcli these are the ones for names that the program knows, for it answers more than one question; of
    anything else all, so that a misspelt name is found.
    """
    names = set(known())
    if values.gradients and verb == "sets":
        source = "<stdin>" if path == "-" else path
        raise GradcliError(
            "DataError",
            f"{source} holds gradients, which are not values for variables",
            help=f"`gradcli grad --seeds {path}` takes them as head gradients; `gradcli check --against {path}` compares",
        )
    if not values.reply:
        unknown = next((name for name in values.entries if names and name not in names), None)
        if unknown is not None:
            raise _unknown(unknown, names, path, verb)
        return dict(values.entries)
    chosen = {name: value for name, value in values.entries.items() if name in names}
    if values.entries and names and not chosen:
        held = ", ".join(list(values.entries)[:5])
        source = "<stdin>" if path == "-" else path
        raise GradcliError("DataError", f"{source} {verb} nothing of this program: it has values for {held}")
    return chosen


def _unknown(name: str, names: set[str], path: str, verb: str) -> GradcliError:
    """What to say of a name in a file that a program does not have."""
    from gradcli.diagnostics import did_you_mean

    source = "<stdin>" if path == "-" else path
    close = did_you_mean(name, names)
    help = f"did you mean `{close}`?"
    if close is None:
        listed = ",".join(sorted(names))
        listed = listed if len(listed) <= 60 else "NAME,..."
        help = f"it has {listed.replace(',', ', ')}"
        if verb == "sets":
            help += f"; `gradcli eval --of '{listed}'` writes only these"
    what = "variable or constant" if verb == "sets" else "value"
    return GradcliError("NameError", f"{source} {verb} `{name}`, and the program has no such {what}", help=help)


ENDING = r"\.(?:(?:npy|npz|json|csv)(?:\.gz)?|parquet|arrow|feather)"
FILE = rf"\w{ENDING}(:[^:]*)?$"
"""What looks like a file, perhaps with a key, and is not an expression: arrays have no such attributes."""


GAPS = re.compile(r"\?missing=(drop|nan)$")
"""What becomes of gaps in a table, behind ``@FILE`` or ``@FILE:KEY``."""


def value_of(
    option: str, name: str, text: str, memory: Memory | None = None, processes: Processes | None = None
) -> Value:
    """The value of ``NAME=EXPR`` (left to the engine) or of ``NAME=@FILE`` (the array in it).

    Of a large file several ``processes`` have some rows each: a node stands for all of them.
    """
    if not text.startswith("@"):
        if re.search(FILE, text):
            raise GradcliError(
                "DataError", f"{option} {name}: {text} is not an expression", help=f"`{name}=@{text}` reads a file"
            )
        return text
    from gradcli.data.reading import read_array

    missing: Any = None
    if (gaps := GAPS.search(text)) and not os.path.exists(text[1:]):
        text, missing = text[: gaps.start()], gaps[1]
    path, key = path_and_key(text)
    try:
        if processes is not None:
            from pathlib import Path

            from gradcli.data.memory import Memory
            from gradcli.data.shares import shared_rows

            rows: Any = shared_rows(Path(path), key, missing, memory or Memory(), processes)
            if rows is not None:
                node: Any = rows.node()
                return node  # type: ignore[no-any-return]
        return read_array(path, key, memory=memory, missing=missing)
    except GradcliError as problem:
        help = problem.help
        if help is not None and "missing=" in help:
            help = f"`{name}={text}?missing=drop` leaves such rows out, and `?missing=nan` makes them NaN"
        raise GradcliError(problem.kind, f"{option} {name}: {problem.message}", problem.labels, help) from None


def path_and_key(text: str) -> tuple[str, str | None]:
    """The file of ``@FILE`` or ``@FILE:KEY``, and the key; a file whose own name has the second form is one without."""
    path = text[1:]
    keyed = re.fullmatch(rf"(.+?{ENDING}):(.+)", path, re.IGNORECASE | re.DOTALL)
    return (keyed[1], utf8(keyed[2])) if keyed and not os.path.exists(path) else (path, None)


ys_option = several_names("--of", help="The ys, in place of the outputs. Their gradients add up. Repeatable.")
xs_option = several_names("--wrt", help="The xs, in place of all variables; * matches variables. Repeatable.")
seed_option = settings_option(
    "--seed", help="Head gradient of a y (grad_ys), in place of ones or its seed line. Repeatable."
)
stop_option = several_names("--stop", help="Nodes that are treated as constants (stop_gradients). Repeatable.")


def question_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What is differentiated: the arguments ``of``, ``wrt``, ``stop`` and ``heads``, the values that ``--seed`` gives."""

    @wraps(function)
    def decorated(*, seed: dict[str, str], stop: list[str] | None, **values: Any) -> Any:
        heads = {name: value_of("--seed", name, text) for name, text in seed.items()}
        return function(heads=heads, stop=stop or [], **values)

    for option in (stop_option, seed_option, xs_option, ys_option):
        decorated = option(decorated)
    return decorated

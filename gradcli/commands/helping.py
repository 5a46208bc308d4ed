"""The options of a command in the text of ``--help``: in groups, what is asked most first, a line or two for each."""

from __future__ import annotations

import re

import click

WHOLE = "whole"
"""The object of a click context in which helps are shown in full, as ``gradcli help COMMAND`` does."""

GROUPS = {
    "Values": ("set_", "values", "seeds", "dtype", "random_seed"),
    "Rows": ("points", "keep", "delimiter", "skip_bad", "place"),
    "How it came about": ("trace", "kinks", "profile"),
    "Results": ("format", "precision", "output", "quiet", "watch"),
    "Engines and limits": ("backend", "device", "devices", "cluster", "threads", "max_memory", "help"),
}
"""The groups after the first, which has all other options: what is asked."""

ONLY_BESIDE = {"device": "--backend", "devices": "--backend", "cluster": "--backend", "place": "--points"}
"""Options that another one makes sense of: a short help has the other one only."""

FIRST = "Options"
EXAMPLES = 3
"""Examples that are shown."""

SENTENCE = re.compile(r"(?<=[^.])[.;:] |\.$| \(")


def write_options(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Write the options; of each help the first sentence, unless the context's object is :data:`WHOLE`."""
    group_of = {name: title for title, names in GROUPS.items() for name in names}
    groups: dict[str, list[tuple[str, str]]] = {FIRST: [], **{title: [] for title in GROUPS}}
    for option in command.get_params(ctx):
        record = option.get_help_record(ctx)
        if record is None or isinstance(option, click.Argument):
            continue
        if ctx.obj != WHOLE and option.name in ONLY_BESIDE:
            continue
        left, help = record
        if ctx.obj != WHOLE:
            help = brief(help)
        name = "help" if "--help" in option.opts else option.name or ""
        groups[group_of.get(name, FIRST)].append((left, help))
    for title, rows in groups.items():
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows, col_max=26)


def write_text(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Write what a command does, and the first sentence of what else there is to say."""
    from inspect import cleandoc

    first, *others = cleandoc(command.help or "").split("\n\n")
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text("\n\n".join([first, *[text.partition(". ")[0].rstrip(".") + "." for text in others]]))


def write_epilog(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Write the examples, and where there is more."""
    if command.epilog is None:
        return
    from inspect import cleandoc

    parts = cleandoc(command.epilog).split("\n\n")
    formatter.write_paragraph()
    with formatter.indentation():
        for part in parts if ctx.obj == WHOLE else ["\n".join(parts[0].split("\n")[: EXAMPLES + 2])]:
            formatter.write_text(part)
        if ctx.obj != WHOLE:
            formatter.write_text(f'"gradcli help {ctx.info_name}" says all.')


def brief(help: str) -> str:
    """The first sentence of a help, and the default."""
    default = re.search(r"\[default: ([^];]*)[];]", help)
    text = help[: default.start()].strip() if default else re.sub(r"\s*\[[^]]*\]$", "", help)
    end = SENTENCE.search(text)
    text = text[: end.start()] if end else text
    return f"{text} [{default[1]}]" if default else text

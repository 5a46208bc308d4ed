"""``gradcli help``: the pages of the manual, commands and operations, on a terminal rendered and paged."""

from __future__ import annotations

import sys

import click

from gradcli.commands.endings import Command, is_terminal
from gradcli.commands.helping import WHOLE
from gradcli.commands.main import COMMANDS, cli
from gradcli.commands.options import file_option
from gradcli.commands.output import screen, send, show_page

EPILOG = """\b
Examples:
  gradcli help
  gradcli help language
  gradcli help grad
  gradcli help softplus
  gradcli help --man | man -l -
"""


def _known() -> list[str]:
    """Everything that has a page."""
    from gradcli.features.help import answer
    from gradcli.language.builtin import OPERATIONS

    return list(dict.fromkeys([*COMMANDS, *answer.topics(), *OPERATIONS]))


@click.command("help", cls=Command, epilog=EPILOG)
@click.argument(
    "topic", required=False, metavar="[COMMAND|TOPIC|OPERATION]",
    shell_complete=lambda _, __, word: [name for name in _known() if name.startswith(word)],
)  # fmt: skip
@click.option("--man", is_flag=True, help="Print the whole manual as one page for man.")
@file_option
@click.pass_context
def command(ctx: click.Context, topic: str | None, man: bool, output: str | None) -> None:
    """Print a page of the manual: of a command, a topic of the list below, or an operation.

    Without a name it lists them. On a terminal a page is rendered, and paged where it is long; in a pipe it is Markdown.
    """
    from gradcli.features.help import answer

    if man:
        if topic is not None:
            raise click.UsageError(f"--man prints the whole manual; without it, `gradcli help {topic}` prints a page.")
        from inspect import cleandoc

        from gradcli.features.help import look

        helps = {name: _usage(ctx, name, width=72) for name in COMMANDS}
        pages = {name: answer.page(name) for name in answer.topics() if name != answer.OPERATIONS}
        send([look.man(cleandoc(cli.help or ""), helps, pages)], output, verbatim=True)
        return
    topics = answer.topics()
    if topic is None:
        send([_listed(topics)], output)
    elif topic in topics and topic in COMMANDS:
        _show(f"{answer.page(topic)}\n## Options\n\n```text\n{_usage(ctx, topic)}\n```\n", output)
    elif topic in topics:
        _show(answer.page(topic), output)
    elif topic in COMMANDS:
        usage = _usage(ctx, topic) + "\n"
        show_page(usage) if output is None else send([usage], output)
    else:
        _operation(ctx, topic, output)


def _listed(topics: dict[str, str]) -> str:
    formatter = click.HelpFormatter(width=min(screen().width, 100) if is_terminal(sys.stdout) else 80)
    for title, rows in (("Commands", {name: line for name, (_, line) in COMMANDS.items()}), ("Topics", topics)):
        with formatter.section(title):
            formatter.write_dl(list(rows.items()))
    formatter.write_paragraph()
    formatter.write_text('"gradcli help NAME" explains one of these, or an operation: "gradcli help softplus".')
    return formatter.getvalue()


def _usage(ctx: click.Context, name: str, width: int | None = None) -> str:
    """The text of ``gradcli NAME --help``."""
    found = cli.get_command(ctx, name)
    assert found is not None
    return found.get_help(click.Context(found, ctx.parent, name, obj=WHOLE, terminal_width=width)).rstrip()


def _show(text: str, output: str | None) -> None:
    """A page: as Markdown in a pipe or a file, rendered on a terminal."""
    if output is not None:
        send([text], output)
        return
    if is_terminal(sys.stdout):
        from gradcli.report import markdown

        text = markdown.render(text, screen())
    show_page(text)


def _operation(ctx: click.Context, name: str, output: str | None) -> None:
    from gradcli.diagnostics import did_you_mean
    from gradcli.features.ops import command as ops
    from gradcli.language.builtin import OPERATIONS

    if name not in OPERATIONS:
        from gradcli.features.help.answer import mentioning

        close = did_you_mean(name, _known())
        pages = ", ".join([f"`gradcli help {topic}`" for topic in mentioning(name)[:4]])
        raise click.UsageError(
            f"There is no command, topic or operation {name!r}."
            + (f" Did you mean {close!r}?" if close else "")
            + (f" Pages that speak of it: {pages}." if pages else "" if close else " `gradcli help` lists them.")
        )
    ctx.invoke(ops.command, search=name, family=None, format=None, output=output)

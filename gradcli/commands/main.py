"""The ``gradcli`` group, which imports a command when it is used, and the run of a command line, which gives an exit status."""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from gradcli import __version__
from gradcli.commands import stopping
from gradcli.commands.endings import WATCH, is_terminal, report_failure, silence_standard_output, tell

# name: (module that defines ``command``, one line for ``gradcli --help``)
COMMANDS = {
    "eval": ("gradcli.features.values.command", "Print the values of the outputs of a program."),
    "grad": ("gradcli.features.gradients.command", "Print gradients, of any order, of the outputs of a program."),
    "jacobian": ("gradcli.features.matrices.jacobian", "Print all derivatives of the entries of outputs."),
    "hessian": ("gradcli.features.matrices.hessian", "Print all second derivatives of a scalar output."),
    "jvp": ("gradcli.features.matrices.jvp", "Print derivatives along a direction."),
    "derive": ("gradcli.features.derive.command", "Print derivatives as formulas, also in LaTeX, Python and C."),
    "export": ("gradcli.features.export.command", "Write a program and its gradients for JAX and StableHLO."),
    "explain": ("gradcli.features.explain.command", "Say how outputs depend on variables, and why a gradient is None."),
    "fit": ("gradcli.features.fit.command", "Find values of variables that make a scalar small."),
    "propagate": ("gradcli.features.propagate.command", "Print results with their uncertainties."),
    "check": ("gradcli.features.check.command", "Compare gradients with differences and other methods."),
    "lint": ("gradcli.features.lint.command", "Find likely mistakes and unstable formulas, and mend them."),
    "format": ("gradcli.features.format.command", "Set the spaces and line ends of programs in one style."),
    "graph": ("gradcli.features.graph.command", "Draw a program, and its gradient, as a graph."),
    "plot": ("gradcli.features.plot.command", "Draw a function, its derivatives or its gradient over a range."),
    "server": ("gradcli.features.server.command", "Help an editor, by the Language Server Protocol."),
    "ops": ("gradcli.features.ops.command", "List the operations, or explain one."),
    "repl": ("gradcli.features.repl.command", "Type definitions and expressions, and ask about them."),
    "help": ("gradcli.features.help.command", "Print a page of the manual: a command, a topic or an operation."),
    "examples": ("gradcli.features.examples.command", "List, print or copy the samples."),
}

EPILOG = """\b
Examples:
  gradcli eval model.expr --set 'x=[1, 2]'
  gradcli grad model.expr --wrt 'w,b'
  gradcli grad -e 'variable x = 3; y = x^2 + sin(x)' --order 2
  gradcli jacobian model.expr --of 'y' --wrt 'x'
  gradcli hessian model.expr --of 'loss' --wrt 'w,b'
  gradcli jvp model.expr --tangent 'x=[1, 0]'
  gradcli derive -e 'variable x = 2.0; y = sin(x^2)*exp(x)'
  gradcli export model.expr --output model.stablehlo
  gradcli explain model.expr --wrt 'w'
  gradcli fit model.expr --minimize 'loss' --method adam
  gradcli propagate model.expr --error 'x=0.1,y=2%'
  gradcli check model.expr
  gradcli lint model.expr --fix
  gradcli format model.expr --diff
  gradcli graph model.expr --gradient 'w'
  gradcli plot -e 'variable x = 0; y = x*sin(x)' --x 'x=-2*pi:2*pi'
  gradcli server --stdio
  gradcli ops softmax
  gradcli repl model.expr
  gradcli help language
  gradcli examples rosenbrock

\b
Completion of commands, options and file names in the shell:
  bash, in ~/.bashrc:
    eval "$(_GRADCLI_COMPLETE=bash_source gradcli)"
  zsh, in ~/.zshrc:
    eval "$(_GRADCLI_COMPLETE=zsh_source gradcli)"
  fish, in ~/.config/fish/config.fish:
    _GRADCLI_COMPLETE=fish_source gradcli | source
"""


NOT_WATCHED = ("repl", "server")


def _keep_watch(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from gradcli.commands.watching import again_and_again

        ctx.meta[WATCH] = again_and_again


WATCH_OPTION = click.Option(
    ["--watch"], is_flag=True, expose_value=False, callback=_keep_watch,
    help="Run again whenever a file it reads is saved; Ctrl-C ends that. A failure leaves the last answer in sight.",
)  # fmt: skip


class LazyGroup(click.Group):
    """A group that knows its commands by name and one line of help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        named = {parameter.name for parameter in command.params}
        if named & {"file", "files"} and "watch" not in named and cmd_name not in NOT_WATCHED:
            command.params.append(WATCH_OPTION)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help) for name, (_, help) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if not ctx.resilient_parsing and not word.startswith("-") and word not in COMMANDS:
            if os.path.isfile(word):
                ctx.fail(f"No such command '{word}'. To evaluate that file: gradcli eval '{word}'")
            if set(word) & set("=()+*/^ "):
                ctx.fail(f"No such command '{word}'. To evaluate an expression: gradcli eval -e {shlex.quote(word)}")
            raise click.NoSuchCommand(word, possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"gradcli {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)
def cli() -> None:
    """Evaluate and differentiate the expressions of a program, with the semantics of tf.gradients.

    A program is a text of definitions such as "variable x = 3" and "y = x^2". "gradcli ops" lists the operations that it
    may use, with their derivatives, and "gradcli COMMAND --help" has examples.
    """


def run(arguments: Sequence[str] | None = None, program: object = None) -> int:
    """Run the command line and return the exit status. Never raises: a traceback is a bug, whatever the input.

    ``program``, a :class:`gradcli.commands.inputs.ProgramText`, is that of commands that are given no other.
    """
    try:
        if arguments is None and len(sys.argv) == 1 and is_terminal(sys.stdin) and is_terminal(sys.stdout):
            arguments = ["repl"] * ("_GRADCLI_COMPLETE" not in os.environ)
        status = cli.main(args=arguments, prog_name="gradcli", standalone_mode=False, obj=program)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except click.ClickException as problem:
        show(problem)
        return problem.exit_code
    except (click.Abort, KeyboardInterrupt):
        return stopping.status()
    except BrokenPipeError:
        silence_standard_output()
        return 0
    except SystemExit as end:  # click answers a shell's request for completions so, and help into a closed pipe
        silence_if_closed()
        return end.code if isinstance(end.code, int) else 1
    except Exception as problem:  # noqa: BLE001  the same, for what fails before a command runs, help included
        if isinstance(problem, OSError):
            silence_if_closed()
        if "_GRADCLI_COMPLETE" in os.environ and isinstance(problem, (KeyError, ValueError)):
            click.echo("no completions: COMP_WORDS and COMP_CWORD are not as a shell sets them", err=True)
            return 2
        return report_failure(problem, as_json=False)


def show(problem: click.ClickException) -> None:
    """Say on standard error what is wrong with a command line; what it quotes of that stays on its line."""
    from gradcli.report.quoting import visible

    if not isinstance(problem, click.exceptions.NoArgsIsHelpError):  # which has the lines of the help
        problem.message = visible(problem.message)  # type: ignore[misc]
    text = io.StringIO()
    problem.show(text)
    tell(text.getvalue())


def silence_if_closed() -> None:
    """Keep the interpreter from complaining at its end about a pipe that nobody reads."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        silence_standard_output()

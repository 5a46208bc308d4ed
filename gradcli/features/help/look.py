"""The manual as one page for man."""

from __future__ import annotations

from collections.abc import Mapping

from gradcli import __version__
from gradcli.report.markdown import roff, verbatim


def man(about: str, commands: Mapping[str, str], pages: Mapping[str, str]) -> str:
    """``about`` is what gradcli is, ``commands`` are the texts of ``--help``, ``pages`` the topics in Markdown."""
    parts = [
        f'.TH GRADCLI 1 "" "gradcli {__version__}" "User Commands"\n',
        ".SH NAME\ngradcli \\- evaluate and differentiate programs of array expressions\n",
        ".SH SYNOPSIS\n.B gradcli\n.I COMMAND\n.RI [ FILE ]\n.RI [ OPTION ]...\n",
        roff(f"# DESCRIPTION\n\n{about}"),
        *[roff(text) for text in pages.values()],
        ".SH COMMANDS\n",
        *[f".SS {name}\n.nf\n{verbatim(text)}\n.fi\n" for name, text in commands.items()],
    ]
    return "".join(parts)

"""Symbolic differentiation of small expression programs, with the semantics of TensorFlow's ``tf.gradients``."""

from __future__ import annotations

TYPE_CHECKING = False  # typing takes a while to be imported
if TYPE_CHECKING:
    from typing import Any

    from gradcli.diagnostics import GradcliError
    from gradcli.interface import Program, load, loads

__version__ = "0.1.0"
__all__ = ["GradcliError", "Program", "__version__", "load", "loads"]


def __dir__() -> list[str]:
    """What there is, whether it has been used yet or not."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


def __getattr__(name: str) -> Any:
    """The interface is loaded when it is first used, so that the commands start quickly."""
    if name == "GradcliError":
        from gradcli.diagnostics import GradcliError

        return GradcliError
    if name in ("Program", "load", "loads"):
        from gradcli import interface

        return getattr(interface, name)
    raise AttributeError(f"module 'gradcli' has no attribute {name!r}")


def load_ipython_extension(ipython: Any) -> None:
    """``%load_ext gradcli`` in a notebook: the magics ``%gradcli`` and ``%%gradcli``, with a program that is empty."""
    from importlib import import_module

    # By name: what the commands import would import itself.
    ipython.register_magics(import_module("gradcli.features.notebook.magic").GradcliMagics)

"""Imports click and NumPy without what no command needs, which takes a quarter of the one's time and a tenth of the other's.

Of click these are ``inspect`` (with ``ast`` and ``dis``) and ``uuid`` (with ``platform``). While it is imported, modules
stand in for them that import the real ones when something is asked of them; nobody else sees these. Of NumPy it is the
documentation of its functions, which Python leaves out under ``-OO``, too.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Later(ModuleType):
    """A module that is imported when it is first asked for something."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module(self.__name__), name)


def _cleandoc(text: str) -> str:
    """As inspect's: without blank lines at the ends, and without the indentation that all lines but the first share."""
    first, *rest = text.expandtabs().split("\n")
    margin = min([len(line) - len(line.lstrip()) for line in rest if line.strip()], default=0)
    lines = [first.lstrip(), *[line[margin:] for line in rest]]
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    return "\n".join(lines)


def spare_documentation() -> None:
    """Have NumPy imported without documentation, where it has not been imported before."""
    for name in ("numpy._core._add_newdocs", "numpy._core._add_newdocs_scalars"):
        sys.modules.setdefault(name, ModuleType(name))


def import_click() -> None:
    """Import click, quickly where it has not been imported before."""
    later = {name: _Later(name) for name in ("inspect", "uuid") if name not in sys.modules}
    if "inspect" in later:
        vars(later["inspect"])["cleandoc"] = _cleandoc
    if "uuid" in later:
        vars(later["uuid"])["UUID"] = object  # a parameter of a generic class, by which nothing goes
    sys.modules.update(later)
    try:
        import click  # noqa: F401
    finally:
        if "uuid" in later:
            vars(later["uuid"]).pop("UUID", None)
        for name, module in later.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]

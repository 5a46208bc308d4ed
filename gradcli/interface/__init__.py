"""What Python users see: a program, and how one is loaded."""

from gradcli.interface.program import Program, load, loads

__all__ = ["Program", "load", "loads"]

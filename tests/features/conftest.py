"""Commands are run inside the test, in a process of their own, or on a terminal."""

from tests.process import gradcli, process, terminal

__all__ = ["gradcli", "process", "terminal"]

"""A loaded program and what can be asked of it: values, gradients, matrices of derivatives, and a check of them all."""

from gradcli.program.program import GradReply, Program, load, loads, read_source
from gradcli.program.query import Unconnected

__all__ = ["GradReply", "Program", "Unconnected", "load", "loads", "read_source"]

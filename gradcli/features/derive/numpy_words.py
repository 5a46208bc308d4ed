"""Nodes as NumPy writes them, from the words of each operation, and what a module needs beside NumPy for that.

A word is a Python expression, parsed before anything is put into it: operands, attributes and names take their places as
parts of the tree, so that no text of a program is ever read as Python.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from textwrap import dedent
from types import FunctionType
from typing import Any

from gradcli.features.derive.unwritten import UnwrittenError
from gradcli.graph.node import Node
from gradcli.graph.ops.words.numpy import HELPERS, OPERANDS, WORDS, Word, helper_name
from gradcli.graph.printing import Text, equation

IMPORTS = {"math", "scipy", "jax", "_host"}
"""Modules that words name beside the library of arrays; ``_host`` is NumPy where the library is another."""


class Needs:
    """What a module must define or import for the words in it: ``helpers`` by name, and ``imports``.

    ``words`` are those of the library.
    """

    def __init__(self, words: Mapping[str, Word] = WORDS) -> None:
        self.words = words
        self.helpers: set[str] = set()
        self.imports: set[str] = set()


def apply(node: Node, operands: Sequence[Text], needs: Needs) -> Text:
    """The text of one node for NumPy, given those of its inputs; what it calls is noted in ``needs``.

    Raises :class:`UnwrittenError` for what has no words.
    """
    word = needs.words.get(node.op.name, "")
    text = word if isinstance(word, str) else word(node)
    if not text:
        raise UnwrittenError(node)

    def part(name: str) -> ast.expr | None:
        if name in OPERANDS or (name[0] == "x" and name[1:].isdigit()):
            return tree(operands[OPERANDS[name] if name in OPERANDS else int(name[1:])].text)
        if name == "dtype":
            return dtype(node.dtype)
        if name == "equation":
            return ast.Constant(equation(node))
        if name == "shape":
            return value(tuple(node.shape))
        if name == "axes" and "axes" not in node.attrs:
            axes = tuple(node.attrs["axis"])
            return value(axes[0] if len(axes) == 1 else axes)
        if name == "seed" and isinstance(node.attrs["seed"], tuple):
            return value(list(node.attrs["seed"]))
        return value(node.attrs[name]) if name in node.attrs else None

    filled = _Filled(part, [tree(t.text) for t in operands], needs).visit(_parsed(text))
    return Text(ast.unparse(filled))


def written(template: str, **parts: ast.expr) -> str:
    """An expression with these trees in place of names."""
    return ast.unparse(_Filled(parts.get, [], Needs()).visit(_parsed(template)))


@lru_cache(1024)
def tree(text: str) -> ast.expr:
    """A piece that was written here, as a tree again, not to be changed."""
    return _parsed(text)


def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


class _Filled(ast.NodeTransformer):
    """A word with trees in place of its names."""

    def __init__(self, part: Callable[[str], ast.expr | None], operands: list[ast.expr], needs: Needs) -> None:
        self._part = part
        self._operands = operands
        self._needs = needs

    def visit_Name(self, node: ast.Name) -> ast.expr:
        part = self._part(node.id)
        if part is not None:
            return part
        if node.id in IMPORTS:
            self._needs.imports.add(node.id)
        elif node.id != "np":
            self._needs.helpers.add(node.id)
        return node

    def visit_Starred(self, node: ast.Starred) -> Any:
        assert isinstance(node.value, ast.Name) and node.value.id == "operands"
        return self._operands


def dtype(name: str) -> ast.expr:
    """``np.float64``."""
    return ast.Attribute(ast.Name("np", ast.Load()), "bool_" if name == "bool" else name, ast.Load())


def value(entry: Any) -> ast.expr:
    """A number, a bool, a text or None, or tuples and lists of them; NaN and infinities are NumPy's."""
    if isinstance(entry, tuple):
        return ast.Tuple([value(part) for part in entry], ast.Load())
    if isinstance(entry, list):
        return ast.List([value(part) for part in entry], ast.Load())
    if isinstance(entry, bool) or entry is None or isinstance(entry, str):
        return ast.Constant(entry)
    if math.copysign(1.0, entry) < 0 and entry == entry:
        return ast.UnaryOp(ast.USub(), value(-entry))
    if math.isfinite(entry):
        return ast.Constant(entry)
    return ast.Attribute(ast.Name("np", ast.Load()), "nan" if entry != entry else "inf", ast.Load())


# ---- helpers: the engine's own kernels, with np in place of the parameter for the array library


def helpers(needs: Needs) -> list[str]:
    """The sources of the helpers that a module needs, and of those that they call, each a function of its own."""
    sources: dict[str, str] = {}
    todo = {name: HELPERS[name] for name in needs.helpers}
    while todo:
        name, kernel = todo.popitem()
        plain = _Plain(kernel)
        sources[name] = plain.source(name)
        needs.imports |= {"math"} if plain.math else set()
        todo |= {called: function for called, function in plain.calls.items() if called not in sources}
    return [sources[name] for name in sorted(sources)]


class _Plain(ast.NodeTransformer):
    """A kernel without its annotations, with np for its parameter xp, and with what it finds in its own module."""

    def __init__(self, kernel: Callable[..., Any]) -> None:
        assert isinstance(kernel, FunctionType)
        self._globals: Mapping[str, Any] = kernel.__globals__
        self._tree = ast.parse(dedent(inspect.getsource(kernel)))
        self._own = {
            node.id
            for node in ast.walk(self._tree)
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
        }
        self._own |= {node.arg for node in ast.walk(self._tree) if isinstance(node, ast.arg)} - {"xp"}
        self.calls: dict[str, Callable[..., Any]] = {}
        self.math = False

    def source(self, name: str) -> str:
        """The function under this name."""
        function = self.visit(self._tree).body[0]
        assert isinstance(function, ast.FunctionDef)
        function.name = name
        return ast.unparse(ast.fix_missing_locations(function))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.args.args = [a for a in node.args.args if a.arg != "xp"]
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        """Without annotation: ``*inputs`` and arguments after a star have one too."""
        return ast.arg(node.arg)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.Assign:
        assert node.value is not None
        return ast.Assign([self.visit(node.target)], self.visit(node.value))

    def visit_Call(self, node: ast.Call) -> ast.Call:
        node.args = [a for a in node.args if not (isinstance(a, ast.Name) and a.id == "xp")]
        self.generic_visit(node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id == "xp":
            return ast.Name("np", node.ctx)
        if node.id in self._own or (node.id not in self._globals and hasattr(builtins, node.id)):
            return node
        found = self._globals[node.id]
        if found is math:
            self.math = True
            return node
        if isinstance(found, FunctionType):
            called = helper_name(found)
            self.calls[called] = found
            return ast.Name(called, node.ctx)
        return value(found)

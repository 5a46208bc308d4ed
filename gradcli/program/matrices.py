"""Jacobians, Hessians, their patterns of non-zeros, and directional derivatives of a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from gradcli.autodiff import jacobian, orders
from gradcli.diagnostics import GradcliError, Label
from gradcli.graph.node import Node
from gradcli.graph.ops.elementwise import add
from gradcli.graph.ops.shaping import reshaped
from gradcli.graph.types import show_shape, size_of
from gradcli.program.loaded import Array, Loaded
from gradcli.results import Block, Result


@dataclass(frozen=True, slots=True)
class Blocks:
    """The matrices that a command prints, and the names of what was differentiated."""

    of: list[str]
    blocks: list[Block]


def nested(blocks: Sequence[Block]) -> dict[str, dict[str, Array]]:
    """The values by row and column."""
    result: dict[str, dict[str, Array]] = {}
    for block in blocks:
        result.setdefault(block.row, {})[block.column] = block.value
    return result


def jacobians(
    program: Loaded,
    of: Sequence[str] | None = None,
    wrt: Sequence[str] | None = None,
    stop: Sequence[str] = (),
    sparsity: bool = False,
) -> Blocks:
    """A block for each pair of y and x, row by row; with ``sparsity`` where it may be non-zero, as bool."""
    of, ys, wrt, xs, stops = _asked(program, of, wrt, stop)
    with program._graph.derivation.active():
        nodes = [node for y in ys for node in jacobian.jacobian(y, xs, stops)]
    pairs = [(row, column, f"d{row}/d{column}") for row in of for column in wrt]
    return Blocks(of, _blocks(program, pairs, nodes, xs, sparsity, "jvp(y, x, v)"))


def hessians(
    program: Loaded,
    of: Sequence[str] | None = None,
    wrt: Sequence[str] | None = None,
    stop: Sequence[str] = (),
    sparsity: bool = False,
) -> Blocks:
    """A block for each pair of xs, row by row, of the sum of the ys, which are scalars."""
    of, ys, wrt, xs, stops = _asked(program, of, wrt, stop)
    if not ys:
        raise GradcliError("ValueError", "a Hessian is that of a scalar, and none is named")
    for name, y in zip(of, ys, strict=True):
        if size_of(y.shape) != 1:
            raise _no_scalar(program, name, y)
    with program._graph.derivation.active():
        # A lone y stays itself: an x may be the same node.
        y = ys[0] if len(ys) == 1 else reduce(add, [reshaped(y, ()) for y in ys])
        nodes = [node for row in jacobian.hessian(y, xs, stops) for node in row]
    whole = of[0] if len(of) == 1 else f"({'+'.join(of)})"
    pairs = [(row, column, f"d2{whole}/d{row}/d{column}") for row in wrt for column in wrt]
    return Blocks(of, _blocks(program, pairs, nodes, xs, sparsity, "hvp(y, x, v)"))


def tangents_of(
    program: Loaded,
    tangents: Mapping[str, str | Array],
    of: Sequence[str] | None = None,
    stop: Sequence[str] = (),
) -> list[Result]:
    """The derivative of each y along the tangents, which add up; never None."""
    of = list(dict.fromkeys(of)) if of is not None else program._differentiated()
    ys = [program._target(name) for name in of]
    stops = [program._target(name) for name in stop]
    if not tangents:
        raise GradcliError("ValueError", "there is no tangent", help="give the direction: `--tangent 'x=1'`")
    directions = [(program._target(name), _direction(program, name, value)) for name, value in tangents.items()]
    with program._graph.derivation.active():
        nodes = [reduce(add, [orders.jvp(y, x, v, stops) for x, v in directions]) for y in ys]
    return [Result(name, value) for name, value in zip(of, program._evaluate(nodes), strict=True)]


def _direction(program: Loaded, name: str, given: str | Array) -> Node:
    x = program._target(name)
    if x.dtype == "bool":
        raise GradcliError("TypeError", f"`{name}` is bool, and only numbers have tangents")
    v = program._constant(name, given, "--tangent")
    if v.shape not in ((), x.shape):
        label = program._locate(x)
        raise GradcliError(
            "ShapeError",
            f"the tangent of {name} needs its shape, {show_shape(x.shape)}, not {show_shape(v.shape)}",
            [Label(label.span, f"shape {show_shape(x.shape)}")] if label else [],
            help=f"a scalar stands for all entries: `--tangent '{name}=1'`",
        )
    return v


Asked = tuple[list[str], list[Node], list[str], list[Node], list[Node]]


def _asked(program: Loaded, of: Sequence[str] | None, wrt: Sequence[str] | None, stop: Sequence[str]) -> Asked:
    of = list(dict.fromkeys(of)) if of is not None else program._differentiated()
    ys = [program._target(name) for name in of]
    wrt = list(program._wanted(wrt))
    xs = [program._target(name) for name in wrt]
    return of, ys, wrt, xs, [program._target(name) for name in stop]


def _blocks(
    program: Loaded,
    pairs: Sequence[tuple[str, str, str]],
    nodes: Sequence[Node],
    xs: Sequence[Node],
    sparsity: bool,
    product: str,
) -> list[Block]:
    shapes = {name: program._target(name).shape for row, column, _ in pairs for name in (row, column)}
    if sparsity:
        from gradcli.autodiff.sparsity import patterns

        initial = program._graph.initial
        with program._graph.derivation.active():
            nodes = patterns(nodes, xs, lambda leaf: initial[leaf] is not None)
    try:
        values = program._evaluate(nodes)
    except GradcliError as error:
        if error.kind == "LimitError" and not sparsity:
            error.help = (
                f"multiply with vectors in place of the whole matrix: `{product}` in the program, or `gradcli jvp`"
                + (f"; {error.help}" if error.help else "")
            )
        raise
    return [
        Block(name, row, column, shapes[row], shapes[column], value)
        for (row, column, name), value in zip(pairs, values, strict=True)
    ]


def _no_scalar(program: Loaded, name: str, y: Node) -> GradcliError:
    label = program._locate(y)
    return GradcliError(
        "ShapeError",
        f"a Hessian is that of a scalar, and {name} has shape {show_shape(y.shape)}",
        [Label(label.span, f"shape {show_shape(y.shape)}")] if label else [],
        help=f"add its entries up, `total = sum({name})`, or take `jacobian(gradients({name}, x), x)` in the program",
    )

"""What ``gradcli jacobian`` and ``gradcli hessian`` have in common: their options, and the way from them to a reply."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import click

from gradcli.commands.inputs import Inputs, backend_options, program_options, stop_option, variables_apart, xs_option
from gradcli.commands.notes import Notes
from gradcli.commands.options import RowOptions, output_options, points_options, several_names, together
from gradcli.commands.output import Destination
from gradcli.features.trace.command import Watch, watching_options

if TYPE_CHECKING:
    from gradcli.features.trace.answer import Traced
    from gradcli.program.loaded import Loaded
    from gradcli.results import Kink


def matrix_options(of_help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of a command whose answer is blocks of derivatives."""

    return together(
        program_options,
        backend_options,
        several_names("--of", help=of_help),
        xs_option,
        stop_option,
        click.option(
            "--sparsity",
            is_flag=True,
            help="Show which entries may be non-zero, decided from the graph and the constants, whatever the"
            " variables are.",
        ),
        watching_options,
        points_options,
        output_options,
    )


def answer(
    kind: Literal["jacobian", "hessian"],
    *,
    inputs: Inputs,
    of: list[str] | None,
    wrt: list[str] | None,
    stop: list[str] | None,
    sparsity: bool,
    trace: bool,
    kinks: bool,
    rows: RowOptions,
    format: str | None,
    precision: int | None,
    output: str | None,
    sparse: str | None = None,
) -> int:
    """Compute the blocks and deliver them, once or for each row of points; the exit status."""
    if sparse is not None:
        others = {"--sparsity": sparsity, "--trace": trace, "--kinks": kinks, "--points": rows.given,
                  "--format": format, "--precision": precision is not None, "--output": output}  # fmt: skip
        wrong = next((name for name, value in others.items() if value), None)
        if wrong is not None:
            raise click.UsageError(f"--sparse writes one matrix into a file, and goes without {wrong}.")
        if not sparse.lower().endswith(".npz"):
            raise click.UsageError(f"--sparse {sparse}: the file must end in .npz.")
        program = inputs.load(inputs.program_text(), (of, [*variables_apart(wrt), *(stop or ())]))
        _write_sparse(program, of, wrt, stop or [], sparse, Notes(inputs.quiet))
        return 0
    notes = Notes(inputs.quiet, format in ("json", "ndjson"))
    watch = Watch(trace, kinks, notes.json, notes.quiet)
    if sparsity:
        watch.refuse_beside("--sparsity")
    if rows.given:
        from gradcli.features.points.command import RowStream, blocks

        if sparsity:
            raise click.UsageError("--sparsity does not depend on values, and goes without --points.")
        watch.refuse_beside("--points")
        stream = RowStream.chosen(rows, format, precision, output)
        program = inputs.load(inputs.program_text([rows.points]), (of, [*variables_apart(wrt), *(stop or ())]))
        from gradcli.features.matrices import answer as matrices

        ask = matrices.jacobians if kind == "jacobian" else matrices.hessians
        stream.deliver(program, lambda varied: blocks(ask(varied, of, wrt, stop or ()).blocks))
        return 0
    destination = Destination.chosen(format, precision, output)
    program = inputs.load(inputs.program_text(), (of, [*variables_apart(wrt), *(stop or ())]))
    from gradcli.features.matrices import answer as matrices

    if watch.found(lambda: _traced(program, kind, of, wrt, stop or [])):
        return 1
    ask = matrices.jacobians if kind == "jacobian" else matrices.hessians
    found = ask(program, of, wrt, stop or (), sparsity)
    from gradcli.features.matrices.look import Matrices
    from gradcli.results import Result

    destination.deliver(Matrices(kind, program.source.name, found.of, found.blocks, sparsity))
    notes.chosen(program, of, found.of)
    results = [] if sparsity else [Result(block.name, block.value) for block in found.blocks]
    watch.finish(results, lambda: _kinks(program, of, wrt, stop or []))
    return 0


def _write_sparse(
    program: Loaded, of: list[str] | None, wrt: list[str] | None, stop: list[str], path: str, notes: Notes
) -> None:
    from gradcli.data import write_atomically, write_npz
    from gradcli.features.matrices.answer import sparse_jacobian

    found = sparse_jacobian(program, of, wrt, stop)
    write_atomically(path, lambda file: write_npz(file, found.arrays()))
    rows, columns = found.matrix.shape
    notes.say(f"{rows} rows, {columns} columns, {found.matrix.nnz} entries")


def _traced(program: Loaded, kind: str, of: list[str] | None, wrt: list[str] | None, stop: list[str]) -> Traced | None:
    from gradcli.features.trace.answer import trace_gradients

    return trace_gradients(program, of, wrt, [1] if kind == "jacobian" else [1, 2], stop=stop)


def _kinks(program: Loaded, of: list[str] | None, wrt: list[str] | None, stop: list[str]) -> list[Kink]:
    from gradcli.program.kinks import of_gradients

    return of_gradients(program, of, wrt, stop)

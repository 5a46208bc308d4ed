"""No module imports itself through others, lazy imports in functions included; what only annotations need is let be."""

from __future__ import annotations

from collections.abc import Mapping

import grimp
import pytest

TABLE = "gradcli.graph.ops."
"""The operations are differentiated by one another: its modules may form circles, among themselves only."""


def circles(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of more than one module, by Tarjan's algorithm."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        path.append(module)
        for other in imports[module]:
            if other not in number:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in path:
                lowest[module] = min(lowest[module], number[other])
        if lowest[module] == number[module]:
            at = path.index(module)
            component = path[at:]
            del path[at:]
            if len(component) > 1:
                found.append(sorted(component))

    for module in sorted(imports):
        if module not in number:
            visit(module)
    return found


@pytest.fixture(scope="module")
def imports():
    graph = grimp.build_graph("gradcli", exclude_type_checking_imports=True)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def outside_of_the_table(found: list[list[str]]) -> list[list[str]]:
    return [modules for modules in found if not all(module.startswith(TABLE) for module in modules)]


def test_no_circle_outside_of_the_table_of_operations(imports):
    assert outside_of_the_table(circles(imports)) == []


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("gradcli.graph.node", "gradcli.commands.main"),
        ("gradcli.graph.operation", "gradcli.graph.describe"),
        ("gradcli.execute.sizes", "gradcli.execute.plan"),
        ("gradcli.language.expressions", "gradcli.language.calls"),
    ],
)
def test_a_circle_is_found(imports, importer, imported):
    assert importer != imported
    (modules,) = outside_of_the_table(circles({**imports, importer: {*imports[importer], imported}}))
    assert {importer, imported} <= set(modules)


def test_lazy_imports_count(imports):
    assert "gradcli.report.tables" in imports["gradcli.report.reply"]
    assert "gradcli.program.loaded" not in imports["gradcli.program.swept"], "for annotations only"

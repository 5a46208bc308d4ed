"""``gradcli ops``: the table of operations, as the engine has it."""

import json

import numpy as np

from gradcli.graph.describe import describe_derivative
from gradcli.graph.ops import table as operations

table = {name: op for name, op in operations.items() if not op.hidden}


def test_the_list_has_every_operation(gradcli):
    out = gradcli("ops").out
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(out.split())
    families: dict[str, list[str]] = {}
    for operation in table.values():
        families.setdefault(operation.family, []).append(operation.name)
        also = f" (also {', '.join(operation.aliases)})" if operation.aliases else ""
        assert f"{operation.signature} {operation.doc.rstrip('.')}{also}" in text
    heads = [line.split("(")[0] for line in lines if line[:1].strip() and "(" in line]
    assert heads == [name for members in families.values() for name in members]
    assert [line for line in lines if line.isupper() and line[0] != " "] == [family.upper() for family in families]


def test_one_operation(gradcli):
    operation = table["softplus"]
    out = gradcli("ops", "softplus").out
    for text in (
        operation.signature,
        operation.doc,
        operation.formula,
        describe_derivative(operation),
        operation.domain,
    ):
        assert text in out


def test_an_alias_finds_its_operation(gradcli):
    assert gradcli("ops", "reduce_sum").out == gradcli("ops", "sum").out


def test_a_search_finds_names_then_descriptions(gradcli):
    def names(*arguments):
        return [record["name"] for record in json.loads(gradcli("ops", *arguments, "--format", "json").out)]

    assert names("bessel") == ["bessel_j", "bessel_j0", "bessel_j1", "bessel_ie", "bessel_i0e", "bessel_i1e"]
    assert names("Eigenv") == ["eigenvectors"]
    assert "svdvals" in names("singular value")
    assert names("reduce_s") == ["sum", "std"]
    assert "bessel_j0(x)" in gradcli("ops", "bessel").out
    assert "see         log_sigmoid" in gradcli("ops", "sigmoid").out


def test_a_family(gradcli):
    out = gradcli("ops", "--family", "Linear Algebra").out
    assert out.startswith("LINEAR ALGEBRA\nmatmul(a, b) ")
    assert "softmax" not in out
    assert "eigh(a)" in gradcli("ops", "eig", "--family", "linear algebra").out
    done = gradcli("ops", "--family", "algebra")
    assert done.status == 2
    assert "The families are" in done.err
    assert "linear algebra" in done.err


def test_the_reference_shows_every_operation_and_what_its_example_gives(gradcli, tmp_path, monkeypatch):
    np.save(tmp_path / "data.npy", np.ones((2, 2)))
    monkeypatch.chdir(tmp_path)
    out = gradcli("ops", "--format", "markdown").out
    sections = out.split("\n### `")[1:]
    assert sorted(section.partition("`")[0] for section in sections) == sorted(o.signature for o in table.values())
    for section in sections:
        name = section.partition("(")[0]
        operation = table[name]
        for text in (operation.doc, operation.domain, *operation.aliases, *operation.formula.split()):
            assert text in section, name
        assert " ".join(describe_derivative(operation).split()) in section, name
        if not operation.example:
            continue
        shown = section.split("```\n")[1].splitlines()
        assert shown[0] == (operation.example if operation.several else f"y = {operation.example}")
        printed = gradcli("eval", "-e", shown[0]).out.splitlines()
        assert [line.removeprefix("# ") for line in shown[1:]] == printed, name


def test_json(gradcli):
    records = json.loads(gradcli("ops", "--format", "json").out)
    assert [record["name"] for record in records] == list(table)
    assert json.loads(gradcli("ops", "sum", "--format", "json").out)["name"] == "sum"


def test_an_unknown_operation(gradcli):
    done = gradcli("ops", "sofmax")
    assert (done.status, done.out) == (2, "")
    assert "softmax" in done.err


def test_on_a_terminal_words_stay_whole(terminal):
    lines = terminal("ops", env={"NO_COLOR": "1"}).splitlines()
    assert max(map(len, lines)) <= 110, "only a signature may be longer than the screen"
    text = " ".join(" ".join(lines).split())
    for operation in table.values():
        for part in (operation.signature, operation.doc, describe_derivative(operation)):
            assert " ".join(part.split()) in text


def test_what_is_linear_says_how():
    for name, operation in table.items():
        assert describe_derivative(operation) != "linear", name

"""``gradcli ops``: the table of operations, as the engine has it."""

import json

from gradcli.graph.describe import describe_derivative
from gradcli.graph.ops import table as operations

table = {name: op for name, op in operations.items() if not op.hidden}


def test_the_list_has_every_operation(gradcli):
    lines = gradcli("ops").out.splitlines()
    assert lines[0].split()[:4] == ["signature", "formula", "derivative", "domain"]
    assert lines[0].split()[4:] == ["aliases", "doc"]
    assert max(map(len, lines)) < 300
    assert " " * 60 not in "".join(lines)
    assert any("sub" in line.split() for line in lines), "aliases"
    assert [line.split("(")[0] for line in lines[1:]] == [
        operation.signature.split("(")[0] for operation in table.values()
    ]


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

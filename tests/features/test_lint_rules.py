"""``lint``: its rules, what --diff shows, annotations, folders, and comments that leave findings out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import gradcli as package
from gradcli.features.lint import answer
from gradcli.features.lint.answer import lint
from gradcli.features.lint.rules import OTHERS, rules
from gradcli.language.formulas import SPELLINGS

FIXABLE = "variable x = 2.0\ny = log(1 + exp(x))\n"


def found(text: str) -> list[str]:
    return [finding.code for finding in lint(package.loads(text))]


def test_every_code_has_a_rule():
    written = set(
        re.findall(r'Finding\(\s*f?"([a-z-]+(?:\{[^}]*\})?)"', Path(answer.__file__).read_text(encoding="utf-8"))
    )
    assert len(written) > 8
    kinds = {"unused-{statement.kind}": ["unused-variable", "unused-constant"]}
    codes = {code for word in written for code in kinds.get(word, [word])}
    assert codes == {rule.code for rule in OTHERS}
    assert {s.code for s in SPELLINGS} | codes == rules().keys()


@pytest.mark.parametrize("rule", OTHERS, ids=[rule.code for rule in OTHERS])
def test_examples_show_what_they_say(rule):
    assert rule.code in found(rule.example)
    assert rule.code not in found(rule.better)


def test_lists_and_explanations(gradcli):
    listed = gradcli("lint", "--rules").out
    assert [line.split()[0] for line in listed.splitlines()] == list(rules())
    for code, rule in rules().items():
        done = gradcli("lint", "--explain", code)
        assert done.status == 0
        assert rule.why in done.out and f"ignore[{code}]" in done.out
    record = json.loads(gradcli("lint", "--explain", "softplus", "--format", "json").out)["rules"]
    assert [r["code"] for r in record] == ["softplus"]
    done = gradcli("lint", "--explain", "softplu")
    assert done.status == 2 and "Did you mean 'softplus'?" in done.err


def test_diff_writes_nothing(gradcli, tmp_path):
    (tmp_path / "f.expr").write_text(FIXABLE)
    done = gradcli("lint", "f.expr", "--diff")
    assert (done.status, (tmp_path / "f.expr").read_text()) == (1, FIXABLE)
    assert done.out == (
        "--- f.expr\n+++ f.expr\n@@ -1,2 +1,2 @@\n variable x = 2.0\n-y = log(1 + exp(x))\n+y = softplus(x)\n"
    )
    gradcli("lint", "f.expr", "--fix")
    assert gradcli("lint", "f.expr", "--diff") == (0, "", "")
    assert gradcli("lint", "f.expr", "--diff", "--fix").status == 2


def test_annotations(gradcli, tmp_path):
    (tmp_path / "a,b:%.expr").write_text(FIXABLE)
    (tmp_path / "bad.expr").write_text("y = zz; z = 1\nw = qq\n")
    done = gradcli("lint", "a,b:%.expr", "bad.expr", "--format", "github")
    assert done.status == 1 and done.err == ""
    *errors, warning = done.out.splitlines()
    assert [error.partition(",end")[0] for error in errors] == [f"::error file=bad.expr,line={n}" for n in (1, 2)]
    assert warning == (
        "::warning file=a%2Cb%3A%25.expr,line=2,endLine=2,col=5,endColumn=20,title=softplus::"
        "`log(1 + exp(x))` has a better spelling: exp overflows for large x; write `softplus(x)`"
    )


def test_folders(gradcli, tmp_path):
    for name in ("m/b.expr", "m/a/c.expr"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(FIXABLE)
    (tmp_path / "m/notes.txt").write_text("y = (")
    reply = json.loads(gradcli("lint", "m", "m/b.expr", "--format", "json").out)
    assert [f["file"] for f in reply["findings"]] == ["m/a/c.expr", "m/b.expr"]


@pytest.mark.parametrize(
    "comment", ["ignore softplus", "ignore[softplus]", "ignore [ norm, softplus ]", "ignore", "ignore[]"]
)
def test_comments_leave_findings_out(comment):
    assert found(f"variable x = 2.0\ny = log(1 + exp(x))  # lint: {comment}") == []
    assert found(f"# lint: {comment}\nvariable x = 2.0\ny = log(1 + exp(x))") == []


def test_comments_about_others_leave_it():
    assert found("variable x = 2.0\ny = log(1 + exp(x))  # lint: ignore[norm]") == ["softplus"]


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("variable a = [[1.0, 2.0]]; constant b = [[0.0, 1.0]]; y = softmax_cross_entropy(a, b)", True),
        ("variable a = [[1.0, 2.0]]; constant b = [[0.0, 1.0]]; y = softmax_cross_entropy(b, a)", False),
        ("variable a = [[1.0, 2.0]]; constant b = [[0.0, 1.0]]; h = tanh(a); y = softmax_cross_entropy(h*2, b)", True),
        ("variable a = [[1.0, 2.0]]; y = softmax_cross_entropy(logits=a, labels=[[0.0, 1.0]])", False),
        ("variable a = [[1.0, 2.0]]; y = softmax_cross_entropy_with_logits(a, [[0.0, 1.0]])", True),
        (
            "def f(logits, t) = softmax_cross_entropy(logits, t)\nvariable a = [[1.0, 2.0]]; y = f(a, [[0.0, 1.0]])",
            True,
        ),
        (
            "def f(t, logits) = softmax_cross_entropy(t, logits)\nvariable a = [[1.0, 2.0]]; y = f([[0.0, 1.0]], a)",
            False,
        ),
        ("variable a = [[1.0, 2.0]]; variable b = [[0.0, 1.0]]; y = softmax_cross_entropy(a, b)", False),
    ],
)
def test_labels_and_logits_in_the_wrong_order(text, swapped):
    assert ("swapped-arguments" in found(text)) is swapped

"""Deep, wide and many: every command answers programs of thousands of steps, terms and variables, as NumPy does."""

from __future__ import annotations

import json

import numpy as np
import pytest

SIZES = [pytest.param(150), pytest.param(1500, marks=pytest.mark.slow)]
X = 0.5


def deep(n):
    lines = "".join(f"n{i} = sin(n{i - 1}) + 0.25\n" for i in range(1, n + 1))
    return f"variable x = {X}\nn0 = x\n{lines}y = n{n}\noutput y\n"


def nested(n):
    return f"variable x = {X}\ny = {'sin(' * n}x{')' * n}\n"


def wide(n):
    return f"variable x = {X}\ny = {' + '.join(f'sin({1 + i / n}*x)' for i in range(n))}\n"


def many(n):
    variables = "".join(f"variable v{i} = {i / n}\n" for i in range(n))
    return variables + f"y = {' + '.join(f'{i + 1}*v{i}^2' for i in range(n))}\n"


def chained(u, n, shift):
    """The Taylor coefficients of n sines of a series: ``k*s_k`` and ``k*c_k`` by the recurrences of sine and cosine."""
    for _ in range(n):
        k = np.arange(len(u))
        s, c = np.zeros_like(u), np.zeros_like(u)
        s[0], c[0] = np.sin(u[0]), np.cos(u[0])
        for m in range(1, len(u)):
            weights = k[1 : m + 1] * u[1 : m + 1]
            s[m] = weights @ c[m - 1 :: -1] / m
            c[m] = -(weights @ s[m - 1 :: -1]) / m
        u = s.copy()
        u[0] += shift
    return u


def derivatives(n, order, shift=0.25):
    """y and its derivatives up to an order for the deep program of n steps."""
    u = np.zeros(order + 1)
    u[0] = X
    u[1:2] = 1.0
    factorials = np.cumprod([1.0, *range(1, order + 1)])
    return chained(u, n, shift) * factorials


def reply(gradcli, *arguments):
    done = gradcli(*arguments, "--format", "json")
    assert (done.status, "internal error" in done.err) == (0, False), done.err
    return json.loads(done.out)


@pytest.mark.slow
@pytest.mark.parametrize("n", SIZES)
def test_deep_chains(gradcli, tmp_path, n):
    (tmp_path / "f.expr").write_text(deep(n))
    value, first, second, third = derivatives(n, 3)
    assert reply(gradcli, "eval", "f.expr")["values"]["y"]["value"] == pytest.approx(value, rel=1e-12)
    for order, expected in enumerate((first, second, third), 1):
        answer = reply(gradcli, "grad", "f.expr", "--order", str(order))["gradients"]["x"]["value"]
        assert answer == pytest.approx(expected, rel=1e-9, abs=1e-300)
    assert reply(gradcli, "jacobian", "f.expr")["jacobians"]["y"]["x"]["value"] == pytest.approx(
        first, rel=1e-9, abs=1e-300
    )
    assert reply(gradcli, "hessian", "f.expr")["hessians"]["x"]["x"]["value"] == pytest.approx(
        second, rel=1e-9, abs=1e-300
    )
    assert reply(gradcli, "jvp", "f.expr", "--tangent", "x=1")["tangents"]["y"]["value"] == pytest.approx(
        first, rel=1e-9, abs=1e-300
    )
    others(gradcli, tmp_path, first)


def others(gradcli, tmp_path, slope):
    """The commands that answer with more than numbers."""
    formula = gradcli("derive", "f.expr")
    assert formula.status == 0
    (tmp_path / "g.expr").write_text(formula.out)
    (found,) = reply(gradcli, "eval", "g.expr")["values"].values()
    assert found["value"] == pytest.approx(slope, rel=1e-8, abs=1e-300)
    done = gradcli("grad", "f.expr", "--points", "-", stdin=f"x\n{X}\n{X}\n")
    assert [float(row) for row in done.out.split()[1:]] == pytest.approx([slope, slope], rel=1e-9, abs=1e-300)
    for command in (["explain"], ["lint"], ["graph"], ["fit", "--steps", "1"], ["check"]):
        done = gradcli(command[0], "f.expr", *command[1:])
        assert done.status == 0, (command, done.err)


@pytest.mark.slow
@pytest.mark.parametrize("n", SIZES)
def test_wide_sums(gradcli, tmp_path, n):
    (tmp_path / "f.expr").write_text(wide(n))
    c = 1 + np.arange(n) / n
    values = [np.sum(f) for f in (np.sin(c * X), c * np.cos(c * X), -(c**2) * np.sin(c * X))]
    assert reply(gradcli, "eval", "f.expr")["values"]["y"]["value"] == pytest.approx(values[0])
    for order in (1, 2):
        assert reply(gradcli, "grad", "f.expr", "--order", str(order))["gradients"]["x"]["value"] == pytest.approx(
            values[order]
        )
    high = reply(gradcli, "grad", "f.expr", "--order", "20")["gradients"]["x"]["value"]
    assert high == pytest.approx(np.sum(c**20 * np.sin(c * X)), rel=1e-9)
    assert reply(gradcli, "hessian", "f.expr")["hessians"]["x"]["x"]["value"] == pytest.approx(values[2])
    others(gradcli, tmp_path, values[1])


@pytest.mark.slow
@pytest.mark.parametrize("n", SIZES)
def test_many_variables(gradcli, tmp_path, n):
    (tmp_path / "f.expr").write_text(many(n))
    v, k = np.arange(n) / n, 1 + np.arange(n)
    assert reply(gradcli, "eval", "f.expr")["values"]["y"]["value"] == pytest.approx(np.sum(k * v**2))
    gradients = reply(gradcli, "grad", "f.expr")["gradients"]
    assert [gradients[f"v{i}"]["value"] for i in range(n)] == pytest.approx(2 * k * v)
    blocks = reply(gradcli, "hessian", "f.expr", "--wrt", "v0,v1")["hessians"]
    assert [[blocks[a][b]["value"] for b in ("v0", "v1")] for a in ("v0", "v1")] == [[2, 0], [0, 4]]
    assert reply(gradcli, "jvp", "f.expr", "--tangent", "v1=1")["tangents"]["y"]["value"] == pytest.approx(4 / n)
    explained = reply(gradcli, "explain", "f.expr")["explanations"]
    assert [explained[f"v{i}"]["value"] for i in range(n)] == pytest.approx(2 * k * v)
    assert {len(e["contributions"][0]["shown"]) for e in explained.values()} == {1}
    checks = reply(gradcli, "check", "f.expr")["checks"]
    assert {(c["variable"], c["verdict"]) for c in checks} == {(f"{n} variables", "ok")}
    for command in ("derive", "lint", "graph"):
        assert gradcli(command, "f.expr").status == 0


def test_the_one_of_many_variables_that_differs_is_named(gradcli, tmp_path):
    n = 60
    rule = "def f(v) = v^2\ntangent f(v, dv) = 3*v*dv\n"
    (tmp_path / "f.expr").write_text(rule + many(n).replace(f"{n - 4}*v{n - 5}^2", f"f(v{n - 5})"))
    checks = reply(gradcli, "check", "f.expr", "--order", "1")["checks"]
    assert [(c["variable"], c["verdict"]) for c in checks if c["method"] == "differences"] == [
        (f"v{n - 5}", "own rule")
    ]


@pytest.mark.parametrize("n", [60, pytest.param(300, marks=pytest.mark.slow)])
def test_a_hessian_of_many_variables(gradcli, tmp_path, n):
    (tmp_path / "f.expr").write_text(many(n))
    blocks = reply(gradcli, "hessian", "f.expr")["hessians"]
    found = [[blocks[f"v{i}"][f"v{j}"]["value"] for j in range(n)] for i in range(n)]
    assert np.array_equal(found, np.diag(2.0 + 2 * np.arange(n)))


@pytest.mark.parametrize("n", [120, pytest.param(1500, marks=pytest.mark.slow)])
def test_high_orders_of_deep_nesting(gradcli, tmp_path, n, monkeypatch):
    """The series of a product adds up different numbers of terms, in one program that is swept."""
    from gradcli.execute import choose

    monkeypatch.setattr(choose, "OPERATIONS", 100)
    (tmp_path / "f.expr").write_text(nested(n))
    for order in (5, 20):
        expected = derivatives(n, order, shift=0.0)[order]
        answer = reply(gradcli, "grad", "f.expr", "--order", str(order))["gradients"]["x"]["value"]
        assert answer == pytest.approx(expected, rel=1e-6)

"""``--trace`` and ``--kinks`` on ``eval`` and ``grad``, and the line that suggests a trace: all on standard error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.features.test_explain import question
from tests.quickly import light
from tests.test_samples import SAMPLES

ROOT = Path(__file__).parents[2]

SQRT = "variable x = [1., 0., 4.]\ns = sqrt(x)\ny = sum(s*2)"


@pytest.mark.parametrize("command", ["eval", "grad"])
def test_a_finding_is_shown_like_an_error_and_nothing_is_printed(gradcli, command):
    done = gradcli(command, "-e", "variable x = [1., 0.]\ny = log(x)", "--trace")
    assert (done.status, done.out) == (1, "")
    assert done.err == (
        "trace: log(x) makes -infinity in 1 of 2 entries\n"
        " --> <-e>:2:5\n"
        "  |\n"
        "2 | y = log(x)\n"
        "  |     ^^^^^^\n"
        "  |\n"
        "  = note: x[1] = 0.0\n"
        "  = note: (log(x))[1] = -inf\n"
        "  = help: a logarithm needs x > 0: write `log(x + 1e-12)`, or leave 0 out, `where(x > 0, log(x), 0)`\n"
    )


def test_the_guilty_factor_of_a_derivative(gradcli):
    done = gradcli("grad", "-e", SQRT, "--trace")
    assert (done.status, done.out) == (1, "")
    assert "the derivative of sqrt(x) makes infinity in 1 of 3 entries" in done.err
    assert "2 | s = sqrt(x)\n  |     ^^^^^^^\n" in done.err
    assert "= note: the guilty factor is 1 / s\n" in done.err
    assert "= note: s[1] = 0.0\n" in done.err
    # The values are all finite.
    assert gradcli("eval", "-e", SQRT, "--trace").status == 0


def test_nothing_is_found(gradcli):
    done = gradcli("grad", "-e", "variable x = 2.; y = x^2", "--trace")
    assert (done.status, done.out) == (0, "x = 4.0\n")
    assert done.err.startswith("trace: nothing: ") and done.err.count("\n") == 1
    done = gradcli("grad", "-e", "variable x = [1., -1.]; y = where(x > 0, log(x), 0)", "--trace", "--order", "2")
    assert (done.status, done.out) == (0, "x = [-1.0, 0.0]\n")
    assert "log on line 1 gives NaN in 1 of 2 entries, which no result uses" in done.err


def test_json(gradcli):
    done = gradcli("grad", "-e", SQRT, "--trace", "--format", "json")
    trace = json.loads(done.err, parse_constant=pytest.fail)["trace"]
    assert done.status == 1
    assert (trace["found"], trace["backward"], trace["operation"]) == (True, True, "1 / s")
    assert (trace["file"], trace["line"], trace["column"]) == ("<-e>", 2, 5)
    assert (trace["entries"], trace["size"]) == (1, 3)
    assert trace["operands"] == [
        {"name": "s", "entries": [{"index": [1], "value": 0.0}]},
        {"name": "1 / s", "entries": [{"index": [1], "value": "Infinity"}]},
    ]
    done = gradcli("eval", "-e", "variable x = 0.; y = relu(x)", "--trace", "--kinks", "--format", "json")
    trace, kinks = map(json.loads, done.err.splitlines())
    assert trace["trace"] == {"found": False, "operations": 2, "harmless": []}
    assert kinks == {
        "kinks": [
            {
                "text": "relu at 0", "file": "<-e>", "line": 1, "column": 22, "entries": 1, "size": 1,
                "slope": "derivative taken as 0, one-sided 0 and 1",
            }
        ]
    }  # fmt: skip


def test_kinks(gradcli):
    done = gradcli("grad", "-e", "variable x = [0., 1., -0.]\ny = relu(x)", "--kinks")
    assert (done.status, done.out) == (0, "x = [0.0, 1.0, 0.0]\n")
    assert done.err == "kink: relu at 0, line 2, 2 of 3 entries: derivative taken as 0, one-sided 0 and 1\n"
    done = gradcli("grad", "-e", "variable x = [2., 1.]\ny = relu(x)", "--kinks")
    assert done.err == "kinks: none\n"
    # No variable is needed to evaluate.
    assert gradcli("eval", "-e", "y = abs([0., 1.])", "--kinks").err.startswith(
        "kink: abs at 0, line 1, 1 of 2 entries"
    )


@pytest.mark.parametrize("command", ["eval", "grad"])
def test_a_result_that_is_not_finite_suggests_a_trace_once(gradcli, command):
    done = gradcli(command, "-e", "variable x = [0., 1.]; y = log(x); z = log(x)*2", *FORMS[command])
    assert done.status == 0
    assert done.err.count("--trace") == 1 and done.err.count("\n") == 1
    assert done.err.startswith("note: ")


FORMS = {"eval": (), "grad": ("--of", "y,z", "--every-order", "--order", "3")}


def test_no_suggestion_where_it_does_not_help(gradcli):
    assert gradcli("eval", "-e", "x = [0., 1.]; y = 2*x").err == ""
    assert gradcli("eval", "-e", "y = isnan([nan, 1.])").err == ""
    assert "--trace" not in gradcli("grad", "-e", "variable x = 1.; y = floor(x)").err
    rows = gradcli("eval", "-e", "variable x = 1.; y = log(x)", "--points", "-", stdin="x\n0\n")
    assert (rows.out, rows.err) == ("y\n-inf\n", "")
    assert gradcli("eval", "-e", "x = 0.; y = 1/x", "--format", "json").err == json.dumps(
        {"note": "y is NaN or infinite; --trace shows the operation where that begins"}
    ) + "\n"  # fmt: skip


@pytest.mark.parametrize("command", ["eval", "grad"])
@pytest.mark.parametrize("option", ["--trace", "--kinks"])
def test_not_with_points(gradcli, command, option):
    done = gradcli(command, "-e", "variable x = 1.; y = x", "--points", "-", option, stdin="x\n1\n")
    assert (done.status, done.out) == (2, "")
    assert "go without --points" in done.err


def test_other_errors_stay_what_they_are(gradcli):
    done = gradcli("eval", "-e", "variable x; y = log(x)", "--trace")
    assert done.status == 1
    assert "has no value" in done.err and "trace" not in done.err
    done = gradcli("eval", "-e", "y = inv([[1., 1.], [1., 1.]])", "--trace")
    assert "singular" in done.err and "trace" not in done.err
    done = gradcli("eval", "-e", "y = sum(exp(ones([20000, 20000])))", "--trace", "--max-memory", "1M")
    assert "LimitError" in done.err


def test_an_output_file_is_not_written_where_something_is_found(gradcli, tmp_path):
    assert gradcli("eval", "-e", "y = log(0.)", "--trace", "--output", "y.json").status == 1
    assert not (tmp_path / "y.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("sample", light(SAMPLES, {"double_pendulum", "orbit"}), ids=[s.stem for s in SAMPLES])
def test_nothing_is_found_in_the_samples_and_the_results_stay(command_line, monkeypatch, sample):
    monkeypatch.chdir(ROOT)
    plain = command_line("grad", *question(sample))
    watched = command_line("grad", *question(sample), "--trace", "--kinks", "--quiet")
    assert (watched.status, watched.out) == (0, plain.out)
    traced, *kinks = watched.err.splitlines()
    assert traced.startswith("trace: nothing: ")
    assert kinks
    assert all([line == "kinks: none" or line.startswith("kink: ") for line in kinks])


@pytest.mark.parametrize("command", ["hessian", "jacobian"])
def test_matrices_are_traced_too(gradcli, command):
    done = gradcli(command, "-e", "variable x = 0.0\ny = sqrt(x)", "--trace")
    assert (done.status, done.out) == (1, "")
    assert "2 | y = sqrt(x)\n  |     ^^^^^^^\n" in done.err
    done = gradcli(command, "-e", "variable x = -1.0; y = relu(x) + x^2", "--kinks")
    assert (done.status, done.err) == (0, "kinks: none\n")
    assert "--trace shows the operation" in gradcli(command, "-e", "variable x = 0.0\ny = sqrt(x)").err
    assert gradcli(command, "-e", SQRT, "--trace", "--sparsity").status == 2


@pytest.mark.parametrize(("command", "text"), [
    ("grad", "variable p = 0.0\ny = xlogy(p, 3.0)"), ("hessian", "variable p = 0.0; variable q = 3.0\ny = xlogy(p, q)"),
    ("grad", "variable p = [0.0, 1.0]\ny = sum(abs(p))"),
])  # fmt: skip
def test_a_trace_that_finds_nothing_names_the_kinks(gradcli, command, text):
    done = gradcli(command, "-e", text, "--trace")
    assert done.status == 0
    first, second = done.err.splitlines()
    assert first.startswith("trace: nothing")
    assert second.startswith("kink: ") and "at 0, line 2" in second

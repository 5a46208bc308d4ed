"""Which command takes which option, read off the commands: one that is new has them all, or says here why not."""

from __future__ import annotations

import gzip
import json
import re

import click
import pytest

from gradcli.commands.main import COMMANDS, cli
from gradcli.commands.options import INPUT_FILE, Orders


def command(name: str) -> click.Command:
    found = cli.get_command(None, name)  # type: ignore[arg-type]
    assert found is not None
    return found


def options(name: str) -> dict[str, click.Parameter]:
    found = {
        spelled: parameter
        for parameter in command(name).params
        for spelled in (*parameter.opts, *parameter.secondary_opts)
    }
    return {"FILE" if word in ("file", "files") else word: parameter for word, parameter in found.items()}


ABOUT_NO_PROGRAM = {"ops", "help", "examples", "server"}
ABOUT_TEXTS = {"lint", "format"}
AT_A_PROMPT = {"repl"}
NOT_A_QUESTION = ABOUT_NO_PROGRAM | ABOUT_TEXTS | AT_A_PROMPT

LACKING = {
    "FILE": ABOUT_NO_PROGRAM,
    "-e": ABOUT_NO_PROGRAM | AT_A_PROMPT,
    "--set": NOT_A_QUESTION,
    "--values": NOT_A_QUESTION,
    "--dtype": NOT_A_QUESTION,
    "--random-seed": NOT_A_QUESTION,
    "--max-memory": NOT_A_QUESTION,
    "--threads": NOT_A_QUESTION,
    "--quiet": NOT_A_QUESTION,
    "--watch": ABOUT_NO_PROGRAM | AT_A_PROMPT,
    "--of": NOT_A_QUESTION,
    # eval has nothing to differentiate by; jvp --tangent, propagate --error and plot --x name the xs with more about them.
    "--wrt": NOT_A_QUESTION | {"eval", "jvp", "propagate", "plot"},
    # These are of one order, or of none.
    "--order": NOT_A_QUESTION | {"eval", "jacobian", "hessian", "jvp", "export", "fit", "propagate", "graph"},
    # A server answers an editor, and what is asked at a prompt is kept by :save.
    "--output": {"server", "repl"},
    # No numbers that could be rounded; those of plots are drawn, and those of export are for machines.
    "--precision": NOT_A_QUESTION | {"export", "plot"},
    # The ending of --output says what a plot becomes; pages, samples and programs have one form.
    "--format": {"plot", "help", "examples", "format", "repl", "server"},
    # One answer for each row: what asks about one point, or runs for long, or writes no numbers, has none.
    **dict.fromkeys(
        ("--keep", "--delimiter", "--skip-bad", "--points"),
        set(COMMANDS) - {"eval", "grad", "jacobian", "hessian", "jvp"},
    ),
}
"""The options of the vocabulary, and the commands that do without."""

SHORT = {"--output": "-o", "--quiet": "-q", "--help": "-h"}
OTHER_NAMES = {("graph", "--wrt"): "--gradient", ("fit", "--wrt"): "--over"}
HOMONYMS = {
    "--points": {"plot"},  # arrays that are drawn as points, beside --line and --band
    "--steps": {"derive", "fit"},  # of a derivation, of an optimiser
    "--sparse": {"jacobian", "fit"},  # a file, a way to compute
}
"""Words that have another sense in these commands."""


@pytest.mark.parametrize("option", LACKING)
def test_every_command_has_the_option_or_says_why_not(option):
    has = {name for name in COMMANDS if option in options(name) and name not in HOMONYMS.get(option, ())}
    expected = set(COMMANDS) - LACKING[option]
    assert has == expected - (HOMONYMS.get(option, set()) - {"jacobian"})


def test_one_option_is_one_thing():
    kinds: dict[str, set[object]] = {}
    for name in COMMANDS:
        for word, parameter in options(name).items():
            if name not in HOMONYMS.get(word, ()) and word.startswith("--"):
                kind = "orders" if isinstance(parameter.type, Orders) else type(parameter.type)
                kinds.setdefault(word, set()).add((kind, parameter.multiple, parameter.nargs))
    assert {word: found for word, found in kinds.items() if len(found) > 1} == {}


def test_short_and_other_names():
    for name in COMMANDS:
        found = options(name)
        for word, short in SHORT.items():
            assert word not in found or short in found or word == "--help"
    for (name, word), other in OTHER_NAMES.items():
        assert options(name)[word] is options(name)[other]


def test_plain_is_the_default_wherever_there_is_plain():
    for name in COMMANDS:
        form = options(name).get("--format")
        if form is not None and "plain" in form.type.choices:  # type: ignore[attr-defined]
            assert form.default in (None, "plain") or not isinstance(form.default, str)


def test_values_are_written_in_the_same_forms():
    forms = {
        name: tuple(options(name)["--format"].type.choices)  # type: ignore[attr-defined]
        for name in COMMANDS
        if "--format" in options(name) and "csv" in options(name)["--format"].type.choices  # type: ignore[attr-defined]
    }
    assert set(forms) == set(ASKED)
    for choices in forms.values():
        assert choices[:6] == ("table", "plain", "value", "json", "ndjson", "csv")


PROGRAM = "variable x = 1.0; y = (x - 3)^2\n"
ASKED = {
    "eval": (), "grad": (), "jacobian": (), "hessian": (), "jvp": ("--tangent", "x=1"), "fit": (),
    "propagate": ("--error", "x=0.1"),
}  # fmt: skip
"""Commands that write values, and what each needs to be told."""


@pytest.mark.parametrize("name", ASKED)
def test_every_form_that_a_command_offers_is_written(gradcli, name):
    """One that is offered by `also` of output_options belongs to a single command."""
    for form in options(name)["--format"].type.choices:  # type: ignore[attr-defined]
        done = gradcli(name, "-e", PROGRAM, *ASKED[name], "--format", form)
        assert (done.status, done.out != "") == (0, True), done.err


# files


READ = {
    "FILE": ("eval", "f.expr.gz"),
    "--values": ("eval", "f.expr", "--values", "v.json.gz"),
    "--seeds": ("grad", "f.expr", "--seeds", "s.json.gz"),
    "--points": ("eval", "f.expr", "--points", "p.csv.gz"),
    "--cov": ("propagate", "f.expr", "--cov", "c.csv.gz"),
    "--against": ("check", "f.expr", "--against", "g.json.gz"),
    "--history": ("plot", "--history", "h.ndjson.gz"),
    "--resume": ("fit", "f.expr", "--method", "adam", "--steps", "4", "--resume", "r.npz.gz"),
}
"""A command for every option that reads a file, all compressed."""


@pytest.mark.slow
def test_every_file_is_read_compressed(gradcli, tmp_path):
    read = {w for name in COMMANDS for w, parameter in options(name).items() if parameter.type is INPUT_FILE}
    assert read - {"-"} == set(READ)
    for name, text in {
        "f.expr": PROGRAM, "v.json": '{"x": 2.0}', "s.json": '{"y": 2.0}', "p.csv": "x\n2\n", "c.csv": ",x\nx,0.25\n",
        "g.json": '{"x": -4.0}',
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    run = ("fit", "f.expr", "--method", "adam", "--steps", "2", "--history", "h.ndjson", "--checkpoint", "r.npz")
    assert gradcli(*run).status == 0
    for path in list(tmp_path.iterdir()):
        (tmp_path / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    for words in READ.values():
        whole = gradcli(*[word.removesuffix(".gz") for word in words])
        done = gradcli(*words)
        assert (done.status, done.out) == (0, whole.out.replace("h.ndjson", "h.ndjson.gz"))
        assert whole.status == 0


# ranges, orders, digits


@pytest.mark.parametrize(
    "words",
    [
        ("fit", "--bounds", "x=0{}1", "--method", "adam", "--steps", "3"), ("plot", "--x", "x=0{}1"),
        ("plot", "--x", "x=0:1", "--xlim", "0.2{}0.8"), ("plot", "--x", "x=0:1", "--ylim=-1{}3"),
        ("grad", "--order", "1{}2"), ("derive", "--order", "0{}2"), ("explain", "--order", "1{}2"),
        ("check", "--order", "1{}2"), ("plot", "--x", "x=0:1", "--order", "1{}2"),
    ],
)  # fmt: skip
def test_ranges_are_taken_in_both_forms(gradcli, words):
    name, *others = [[word.format(between) for word in words] for between in ("..", ":")]
    first, second = (gradcli(form[0], "-e", PROGRAM, *form[1:]) for form in (name, *others))
    assert first.status == 0
    assert first == second


def test_orders_that_are_written_are_those_that_are_evaluated(gradcli):
    text = "variable x = 0.7; variable k = 2.0; y = sin(k*x)*x^2"
    for form in ((), ("--name-parts", "0")):
        derived = gradcli("derive", "-e", text, "--order", "0..3", *form).out
        values = json.loads(gradcli("eval", "-e", derived, "--format", "json").out)["values"]
        assert list(values) == ["y", "dy_dx", "dy_dk", "d2y_dx2", "d2y_dk2", "d3y_dx3", "d3y_dk3"]
        grads = json.loads(gradcli("grad", "-e", text, "--order", "1..3", "--format", "json").out)["orders"]
        for group in grads:
            n = "" if group["order"] == 1 else str(group["order"])
            for x, found in group["gradients"].items():
                assert values[f"d{n}y_d{x}{n}"]["value"] == pytest.approx(found["value"], rel=1e-12)


def test_numbers_that_are_derivatives_are_no_names_elsewhere(gradcli):
    out = gradcli("derive", "-e", "variable x = 2.0; y = x^2", "--order", "0..2").out
    assert out == "variable x = 2.0\ny = x^2\ndy_dx = 2 * x\nd2y_dx2 = 2.0\noutput y, dy_dx, d2y_dx2\n"


def test_orders_of_an_explanation(gradcli):
    each = [gradcli("explain", "-e", PROGRAM, "--order", str(n)).out for n in (1, 2, 3)]
    assert gradcli("explain", "-e", PROGRAM, "--order", "1..3").out == "\n".join(each)
    reply = json.loads(gradcli("explain", "-e", PROGRAM, "--order", "2..3", "--format", "json").out)
    one = json.loads(gradcli("explain", "-e", PROGRAM, "--order", "3", "--format", "json").out)
    assert [group["order"] for group in reply["orders"]] == [2, 3]
    assert reply["orders"][1]["explanations"] == one["explanations"]


LONG = (
    "variable x = 0.123456789; def f(z) = 0.87654321*z; c = [1.23456789, 0.5]"
    "; y = sum(c)*iterate(f, x, 400)*3.0987654*pi + x*log(3.0)/7"
)


@pytest.mark.parametrize("form", ["expr", "latex", "python", "c"])
def test_digits_of_formulas(gradcli, form):
    exact, rounded = (
        gradcli("derive", "-e", LONG, "--format", form, *digits).out for digits in ((), ("--precision", "3"))
    )
    for long, short in (("0.87654321", "0.877"), ("0.123456789", "0.123")):
        if long in exact:
            assert short in rounded
        assert long not in rounded
    assert "1.23456789" not in rounded
    assert not re.search(r"\d\.\d{4}", rounded)
    assert re.search(r"\d\.\d{7}", exact)


def test_rounded_formulas_are_near(gradcli):
    near = [
        float(gradcli("eval", "-e", gradcli("derive", "-e", LONG, *digits).out, "--format", "value").out)
        for digits in ((), ("--precision", "12"))
    ]
    assert near[0] == pytest.approx(near[1], rel=1e-8)
    assert gradcli("derive", "-e", LONG, "--precision", "3", "--steps").status == 2


def test_digits_in_a_graph(gradcli):
    shown = [gradcli("graph", "-e", PROGRAM, "--set", "x=1/3", "--numbers", *p).out for p in ((), ("--precision", "9"))]
    assert "value 0.3333," in shown[0]
    assert "value 0.333333333," in shown[1]


# --output


@pytest.mark.parametrize(
    "words",
    [
        ("lint", "f.expr"), ("lint", "--rules"), ("lint", "f.expr", "--diff"), ("lint", "f.expr", "--format", "github"),
        ("format", "f.expr", "--diff"), ("format", "-e", "x  =1"), ("ops",), ("ops", "softmax"),
        pytest.param(("ops", "--format", "markdown"), marks=pytest.mark.slow), ("help",), ("help", "grad"), ("help", "none"), ("help", "softmax"),
        pytest.param(("help", "--man"), marks=pytest.mark.slow), ("examples",), ("examples", "rosenbrock"),
        ("derive", "f.expr"), ("explain", "f.expr"), ("check", "f.expr"), ("graph", "f.expr"),
    ],
)  # fmt: skip
def test_what_would_be_printed_is_written(gradcli, tmp_path, words):
    (tmp_path / "f.expr").write_text("variable x = 2\ny = log(1+exp(x))\n")
    printed = gradcli(*words)
    done = gradcli(*words, "-o", "out.txt")
    assert (done.status, done.out) == (printed.status, "")
    assert (tmp_path / "out.txt").read_text() == printed.out
    assert gradcli(*words, "-o", "no/out.txt").status == 1


def test_what_lint_finds_takes_no_programs_place(gradcli, tmp_path):
    (tmp_path / "f.expr").write_text("variable x = 2\n")
    for words in (("f.expr",), (".",), ("f.expr", "--diff")):
        done = gradcli("lint", *words, "-o", "./f.expr")
        assert (done.status, (tmp_path / "f.expr").read_text()) == (2, "variable x = 2\n")


def test_a_formatted_program_goes_elsewhere(gradcli, tmp_path):
    (tmp_path / "f.expr").write_text("x=1\n")
    (tmp_path / "g.expr").write_text("y=1\n")
    assert gradcli("format", "f.expr", "-o", "h.expr") == (0, "", "")
    assert [(tmp_path / name).read_text() for name in ("f.expr", "h.expr")] == ["x=1\n", "x = 1\n"]
    assert gradcli("format", "f.expr", "g.expr", "-o", "h.expr").status == 2
    assert gradcli("format", ".", "--check").err == "2 files would change\n"
    assert gradcli("format", "-", "-e", "x=1").status == 2
    assert gradcli("format", stdin="x=1\n").out == "x = 1\n"


# rows, names


def test_directions_for_rows(gradcli):
    done = gradcli("jvp", "-e", "variable x = 1.0; y = x^3", "--tangent", "x=2", "--points", "-", stdin="x\n1\n-2\n")
    assert (done.status, done.out) == (0, "y\n6.0\n24.0\n")
    text = "variable x = [3.0, 1.0]; variable k = 1.0; y = k*x^2"
    options = ("--tangent", "x=[1, 0]", "--points", "-", "--keep", "id", "--skip-bad=keep", "--delimiter", ";")
    done = gradcli("jvp", "-e", text, *options, stdin="id;k\na;2\nb;z\n")
    assert (done.status, done.out) == (0, "id,y[0],y[1]\na,12.0,0.0\nb,,\n")


def test_the_loss_is_named_by_of(gradcli):
    program = "variable x = 1.0; y = (x - 2)^2; z = 3*x"
    done = gradcli("fit", "-e", program, "--of", "y")
    assert (done.status, done.out) == (0, "x = 2.0\n")
    assert done.err.startswith("`y` is minimised, which --of names\n")
    done = gradcli("fit", "-e", program, "--of", "y,z")
    assert (done.status, done.out) == (1, "")
    assert "what is minimised is not said: --of names `y`, `z`" in done.err and "`--minimize NAME`" in done.err
    for words in (("--minimize", "y"), ()):
        text = program if words else program + "; output y"
        done = gradcli("fit", "-e", text, *words, "--of", "z")
        assert (done.out, "which --of names" in done.err) == ("x = 2.0\nz = 6.0\n", False)


COMPLETIONS = [
    ("fit f.expr --minimize x", ["xa", "xk", "xy"]), ("fit f.expr --bounds xa", ["xa="]),
    ("propagate f.expr --error xa=0.1,xk", ["xa=0.1,xk="]), ("plot f.expr --line xa,xy", ["xa,xy"]),
    ("check f.expr --claim xa", ["xa="]), ("grad f.expr --wrt xa,xk", ["xa,xk"]), ("examples rosenbrock_", ["rosenbrock_minimum"]),
    ("lint --explain softp", ["softplus"]), ("derive f.expr --tangent xa", ["xa="]),
]  # fmt: skip


@pytest.mark.parametrize(("words", "found"), COMPLETIONS)
def test_completion_of_names(gradcli, tmp_path, monkeypatch, words, found):
    (tmp_path / "f.expr").write_text("variable xa = 1.0; constant xk = 2.0; xy = xa*xk")
    monkeypatch.setenv("_GRADCLI_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", f"gradcli {words}")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split())))
    assert gradcli().out == "".join([f"plain,{word}\n" for word in found])

"""Derivatives as C99: each file compiles without a warning and gives what `grad` gives; what C cannot say is an error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradcli
from gradcli.features.derive.c_function import RESERVED, spelled
from gradcli.features.derive.look import written
from gradcli.graph.ops import table
from gradcli.graph.ops.words.c import ENTRIES, WORDS
from tests.features.c_functions import compiled, needs_cc, run
from tests.features.test_derived import SAMPLES, assert_equal, question, values_for
from tests.graph.test_operations import DATA, SPECS
from tests.quickly import HEAVY

NO_WORD = {
    "argcummax", "argcummin", "bessel_ie", "bessel_j", "beta_density", "betainc", "cofactor", "completion", "digamma",
    "digamma_rise", "eigenvectors", "eigvalsh", "erfcx", "erfinv", "expm", "expm_frechet", "gamma_density", "gammainc", "gammaincc",
    "lbeta", "log_ndtr", "ndtri", "orthonormal", "pinv", "polygamma", "ravel_multi_index", "reciprocal_gaps", "singular_function",
    "singular_vectors", "spectral", "svdvals",
}  # fmt: skip
"""Operations of which C has no function."""

NO_ENTRIES = {"argsort", "scatter_along", "searchsorted", "sort"}
"""Operations whose entries depend on more than C writes."""


def names_of(text: str) -> dict[str, str]:
    """The derivative that each member of the struct is."""
    return dict(re.findall(r"^ \* (\w+): d\w*/d(\w+)", text, re.MULTILINE))


def compare(function: Any, text: str, program: gradcli.Program, order: int, values: Any, **asked: Any) -> None:
    of = asked.get("of") or program.graph.outputs or [list(program.graph.definitions)[-1]]
    found = function(values_for(program, function.names, values))
    shapes = {name: value.shape for name, value in program.eval(of, values=values).items()}
    assert_equal(found[of[0]].reshape(shapes[of[0]]), program.eval(of, values=values)[of[0]], text)
    if order:
        gradients = program.grad(order=order, values=values, **asked)
        known = {x: g for x, g in gradients.items() if g is not None}
        members = [name for name in found if name not in of]
        assert len(members) == len(known), text
        for member, (x, g) in zip(members, known.items(), strict=True):
            assert_equal(found[member].reshape(g.shape), g, f"{x} of\n{text}")


@pytest.mark.slow
@needs_cc
def test_every_operation(tmp_path: Path) -> None:
    """Values and derivatives of each operation; those without a word are the ones that are known to have none."""
    np.save(tmp_path / "data.npy", DATA)
    texts: list[str] = []
    cases: list[Any] = []
    refused: set[str] = set()
    for i, (name, some) in enumerate(SPECS.items()):
        case = some[i % len(some)]
        program = gradcli.loads(case.program("float32" if i % 3 == 1 else "float64"), folder=tmp_path)
        order = 1 + i % 2 if case.derivative else 0
        try:
            texts.append(written(program, order=order, format="c"))
            cases.append((program, order, case.point()))
        except gradcli.GradcliError as error:
            word = re.search(r"C99 has no function for (\w+)", error.message)
            refused |= {word[1]} if word else set()
            assert word or "without entries" in error.message or "is a search" in error.message, (name, error)
    assert refused - {"random_normal", "random_uniform"} <= NO_WORD | NO_ENTRIES | {"det"}
    assert len(texts) > 120
    for function, text, (program, order, point) in zip(compiled(texts, tmp_path), texts, cases, strict=True):
        compare(function, text, program, order, point)


def test_every_operation_on_numbers_has_a_word_or_is_known_to_have_none() -> None:
    own = {name for name, op in table.items() if op.kernel is not None and op.written is None and op.entrywise}
    found = own - WORDS - ENTRIES.keys()
    assert found == NO_WORD & own, "an operation wants its word in graph/ops/words/c.py, or a place in NO_WORD here"
    assert not NO_WORD & (WORDS | ENTRIES.keys())


@pytest.mark.slow
@needs_cc
def test_samples(tmp_path: Path) -> None:
    """All that C can express, each alone by the compiler, too."""
    texts: list[str] = []
    asked: list[Any] = []
    for sample in [s for s in SAMPLES if s.stem not in HEAVY]:
        program = gradcli.load(sample)
        try:
            text = written(program, format="c", **question(sample))
        except gradcli.GradcliError as error:
            assert error.kind in ("LimitError", "ValueError", "ShapeError"), error
            continue
        texts.append(text)
        asked.append((program, question(sample)))
    assert len(texts) >= 15
    for k, text in enumerate(texts[::5]):
        path = tmp_path / f"alone{k}.c"
        path.write_text(text, encoding="utf-8")
        run(path, "-c", "-o", str(tmp_path / "alone.o"))
    for function, text, (program, names) in zip(compiled(texts, tmp_path), texts, asked, strict=True):
        try:
            compare(function, text, program, 1, None, **names)
        except gradcli.GradcliError as error:
            assert "has no value" in error.message


NAMES = [
    "double",
    "exp",
    "y1",
    "main",
    "gradient",
    "λ",
    "日本",
    "ﬁ",
    "_x",
    "__",
    "x_",
    "x",
    "NAN",
    "true_",
    "op_square",
    "t1",
    "linux",
    "I",
]


@needs_cc
def test_any_name(tmp_path: Path) -> None:
    texts, programs = [], []
    for name in NAMES:
        other = "x" if name != "x" else "z"
        text = f"variable {name} = 0.5\nvariable {other} = [1.0, 2.0]\nf = sigmoid({name})*{name}^2\ny = f*sum(tanh({other}*{name}))"
        programs.append(gradcli.loads(text, f"{name}*/ /* ??/ \\"))
        texts.append(written(programs[-1], format="c"))
    for name, function, text, program in zip(NAMES, compiled(texts, tmp_path), texts, programs, strict=True):
        own = spelled([name, "x" if name != "x" else "z"])
        values = {own[k]: v for k, v in program.eval(list(own)).items()} if set(own) <= set(program.names) else {}
        if not set(function.names) <= values.keys():  # normalised names
            values = dict(zip(function.names, program.eval(list(program.graph.leaves)).values(), strict=True))
        found = list(function(values).values())
        for value, expected in zip(found[1:], program.grad().values(), strict=True):
            assert_equal(value, expected, text)


def test_names_are_spelled_apart() -> None:
    names = ["λ", "lambda", "lambda_", "double", "double_", "é", "ue9", "_a", "va", "v_a", "sin", "gradient"]
    found = spelled(names)
    assert len(set(found.values())) == len(names)
    assert all(name.isascii() and not name.startswith("_") for name in found.values())
    assert not RESERVED & set(found.values())
    assert (found["lambda"], found["lambda_"]) == ("lambda", "lambda_")


@pytest.mark.parametrize(
    ("program", "message", "place"),
    [
        ("variable x = 1.0\ny = 2*digamma(x)", "C99 has no function for digamma", (2, 7)),
        ("variable x = [3.0, 1.0]\ny = sort(x)[0]", "C99 has no function for", (2, 5)),
        ("variable A = eye(5)\ny = det(A)", "C99 has no function for", (2, 5)),
        ("variable x = ones([200, 200])\ny = sum(x @ x)", "more than 20,000 operations", None),
        ("variable x = ones([0])\ny = sum(x)", "without entries", None),
    ],
)
def test_what_c_cannot_say(program: str, message: str, place: tuple[int, int] | None) -> None:
    with pytest.raises(gradcli.GradcliError, match=message) as found:
        written(gradcli.loads(program), format="c")
    assert found.value.help
    if place is not None:
        assert found.value.span is not None
        assert (found.value.span.line, found.value.span.column) == place


def test_constants_are_data_and_values_share_what_derivatives_need() -> None:
    text = gradcli.loads("variable x = 2.0; constant k = [1.0, 2.0]; constant c; y = sum(exp(k*x))*c").derive(
        format="c"
    )
    assert "static const double k[2] = {1.0, 2.0};" in text
    assert "struct gradient gradient(double x, double c)" in text
    assert text.count("exp(") == 2
    assert "gradient(double c)" in gradcli.loads("constant c = 2.0; y = c^2").derive(wrt="c", format="c")
    assert "gradient(void)" in gradcli.loads("variable x = 2.0; y = zeros_like(x)").derive(order=0, format="c")


def test_float32_and_integers() -> None:
    text = gradcli.loads("dtype float32\nvariable x = 0.1; constant n = 3; y = exp(x)*mod(n, 2)").derive(format="c")
    assert "float gradient" not in text
    assert "expf(x)" in text
    assert "#include <stdint.h>" in text


LOOPS = [
    "variable a = 3.1; variable x = 0.4; def f(x) = a*x*(1 - x)\ny = iterate(f, x, 100)",
    "variable v0 = 1.0; variable t = 2.0; def f(v, e) = v + sin(e*t)\ny = sum(scan(f, linspace(0.0, 1.0, 60), v0)^2)",
    "variable a = 0.9; variable x = [1.0, 2.0]; def g(s) = a*sin(s)\ndef f(s) = a*iterate(g, s, 50)\ny = sum(iterate(f, x, 40))",
    "variable a = 2.0; def near(y) = abs(y^2 - a) < 1e-12\ndef f(y) = (y + a/y)/2\ny = iterate(f, 1.0, 100, until=near)",
    "variable q0 = [1.0, 0.2]; variable v0 = [0.0, 1.0]; def f(q, v) = q + 0.01*v, v - 0.01*q/sum(q^2)^1.5\n"
    "q, v = iterate(f, [q0, v0], 300)\ny = sum(q*v)",
    "variable A = [[0.5, 0.1], [0.2, 0.3]]; variable x = [1.0, 2.0]; X = linspace(0.0, 1.0, 40); def f(h, e) = tanh(A @ h + e)\n"
    "z = scan(f, X, x, reverse=true); y = sum(z[0]) + z[3, 1]",
    "variable k = 0.3; def f(y, t) = -k*y\nz = odeint(f, 2.0, linspace(0.0, 1.0, 40), substeps=2)\ny = z[-1]",
    "variable W = [[0.5, 0.1, 0.2], [0.2, 0.3, 0.9], [0.3, 0.1, 0.4]]; variable x = 0.3; def h(s, e) = sin(s)*e + x\n"
    "def g(s, r) = s*x + sum(scan(h, r, s))\ny = sum(scan(g, tile(W, [20, 1]), x)) + iterate(h2, x, 50)".replace(
        "y =", "def h2(s) = s*x\ny ="
    ),
    "dtype float32\nvariable double = 0.3; constant X = [[1.0, 2.0], [0.5, 0.2], [0.1, 3.0]]; def f(s, exp) = s*double + exp\n"
    "def g(s, i) = s + sum(scan(f, X, [0.0, 0.0])[2])*double\ny = sum(scan(g, linspace(0.0, 1.0, 60), 1.0))",
]


@pytest.mark.slow
@needs_cc
@pytest.mark.parametrize("order", [1, 2])
def test_loops_are_loops(order: int, tmp_path: Path) -> None:
    programs = [gradcli.loads(text) for text in LOOPS]
    texts = [program.derive("y", order=order, format="c") for program in programs]
    for function, text, program in zip(compiled(texts, tmp_path), texts, programs, strict=True):
        assert "for (int" in text and "* 1);" not in text
        names = {spelled([name])[name]: name for name in program.graph.leaves}
        values = {own: program.eval([names[own]])[names[own]] for own in function.names}
        found = list(function(values).values())
        expected = [program.eval(["y"])["y"], *[g for g in program.grad("y", order=order).values() if g is not None]]
        for value, other in zip(found, expected, strict=True):
            assert_equal(value.reshape(other.shape), other, text)


@pytest.mark.slow
def test_a_loop_is_as_long_as_its_body() -> None:
    long, short = [gradcli.loads(LOOPS[0].replace("100", str(n))).derive("y", format="c") for n in (100_000, 100)]
    assert len(long.splitlines()) == len(short.splitlines())
    with pytest.raises(gradcli.GradcliError, match="keep more than 100,000 numbers") as found:
        gradcli.loads(LOOPS[0].replace("100", "1000000")).derive("y", format="c")
    assert found.value.help


@pytest.mark.slow
@needs_cc
def test_samples_of_loops(tmp_path: Path) -> None:
    folder = SAMPLES[0].parent / "loops"
    texts, programs = [], []
    for name in ("orbit", "sir", "nile"):
        programs.append(gradcli.load(folder / f"{name}.expr"))
        texts.append(programs[-1].derive(format="c"))
    for function, text, program in zip(compiled(texts, tmp_path), texts, programs, strict=True):
        found = function(values_for(program, function.names))
        expected = program.grad()
        members = [name for name in found if name.startswith("d")][-len(expected) :]
        for member, value in zip(members, expected.values(), strict=True):
            assert_equal(found[member].reshape(value.shape), value, text)


def test_long_programs_of_numbers_have_no_limit() -> None:
    lines = [f"x{i + 1} = sin(x{i})*0.9 + x{i}" for i in range(700)]
    text = gradcli.loads("\n".join(["variable x0 = 0.9", *lines])).derive(order=0, format="c")
    assert text.count("const double") >= 700

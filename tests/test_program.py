"""The Python interface: the same as the commands, on arrays."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import gradcli

QUADRATIC = "variable x = [1.0, 2.0]; variable k = 3.0; variable other = 0.0; y = k*sum(x^2); z = 2*y; output y"


def test_eval():
    p = gradcli.loads(QUADRATIC)
    assert p.eval() == {"y": 15.0}
    assert isinstance(p.eval()["y"], np.ndarray)
    assert p.eval(["z", "k"], values={"x": np.array([1, 1, 1])}) == {"z": 18.0, "k": 3.0}
    assert p.eval() == {"y": 15.0}, "values are those of one call"


def test_grad():
    p = gradcli.loads(QUADRATIC)
    g = p.grad()
    assert g["x"].tolist() == [6.0, 12.0]
    assert (g["k"], g["other"]) == (5.0, None)
    assert p.grad(wrt=["x"], order=2)["x"].tolist() == [6.0, 6.0]
    assert p.grad(of=["y", "z"], wrt=["k"], seeds={"z": 10.0}) == {"k": 105.0}
    assert p.grad(of=["z"], wrt=["y", "k"], stop=["y"]) == {"y": 2.0, "k": None}
    assert p.grad(wrt=["other"], unconnected="zero") == {"other": 0.0}
    assert p.grad(wrt=["x"], values={"x": [0.0, 1.0, 2.0]})["x"].tolist() == [0.0, 6.0, 12.0]


def test_gradients_keep_shape_and_dtype():
    p = gradcli.loads("dtype float32; variable w = [[1.0], [2.0]]; y = sum(tanh(w))")
    assert p.grad()["w"].dtype == np.float32
    assert p.grad()["w"].shape == (2, 1)


def test_compile():
    p = gradcli.loads(QUADRATIC + "; g = gradients(y, x)")
    run = p.compile(["y", "g"], inputs=["x", "k"])
    first = run(x=[1.0, 1.0], k=2.0)
    assert (first["y"], first["g"].tolist()) == (4.0, [4.0, 4.0])
    assert run(x=[0.0, 1.0])["y"] == 3.0, "what is left out keeps the program's value"
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda k: float(run(x=[1.0, 1.0], k=k)["y"]), range(200))) == [2.0 * k for k in range(200)]


def test_results_may_be_written_to():
    p = gradcli.loads("variable x = [1.0, 2.0]; y = x*2; z = x; output y, z")
    for _ in range(2):
        values = p.eval()
        assert values["z"].tolist() == [1.0, 2.0]
        for value in values.values():
            value[0] = 99.0


def test_load_reads_data_beside_the_program(tmp_path):
    np.save(tmp_path / "X.npy", np.arange(3.0))
    (tmp_path / "f.expr").write_text('X = load("X.npy"); y = sum(X); output y')
    assert gradcli.load(tmp_path / "f.expr").eval() == {"y": 3.0}
    assert gradcli.load(str(tmp_path / "f.expr")).eval() == {"y": 3.0}


@pytest.mark.parametrize(
    ("call", "kind", "word"),
    [
        (lambda p: p.eval(["yy"]), "NameError", "yy"),
        (lambda p: p.grad(wrt=["xx"]), "NameError", "xx"),
        (lambda p: p.grad(of=["qq"]), "NameError", "qq"),
        (lambda p: p.grad(seeds={"y": [1.0, 2.0]}), "ShapeError", "seed"),
        (lambda p: p.grad(wrt=["other"], unconnected="error"), "ValueError", "other"),
        (lambda p: p.eval(values={"nothing": 1.0}), "NameError", "nothing"),
        (lambda p: p.compile(["y"], inputs=["nothing"]), "NameError", "nothing"),
        (lambda p: p.compile(["y"], inputs=["x"])(x=[1.0, 2.0, 3.0]), "ShapeError", "x"),
        (lambda p: p.compile(["y"], inputs=["x"])(k=1.0), "NameError", "k"),
        (lambda p: gradcli.loads("y = 1 +", name="there"), "SyntaxError", "expected an expression"),
        (lambda p: gradcli.load("no/such.expr"), "DataError", "such"),
    ],
)
def test_errors(call, kind, word):
    with pytest.raises(gradcli.GradcliError, match=word) as info:
        call(gradcli.loads(QUADRATIC))
    assert info.value.kind == kind
    assert word in info.value.message


def test_an_error_has_its_place():
    with pytest.raises(gradcli.GradcliError) as info:
        gradcli.loads("x = 1\ny = xx", name="there")
    error = info.value
    assert (error.kind, error.file, error.line, error.column) == ("NameError", "there", 2, 5)
    assert "x" in (error.help or "")


def test_a_compiled_function_guards_against_nan_where_nothing_is_selected():
    """The graph is made for finite inputs; a NaN in one makes a guarded one, and only then."""
    text = "variable x: [3]\nconstant m = [1., 0., 1.]\ny = sum(where(m > 0, x*x, 0.0))\ng = gradients(y, x)"
    run = gradcli.loads(text).compile(["y", "g"], inputs=["x"])
    np.testing.assert_array_equal(run(x=[1.0, 2.0, 3.0])["g"], [2, 0, 6])
    for hidden in (np.nan, np.inf, -np.inf):
        np.testing.assert_array_equal(run(x=[1.0, hidden, 3.0])["g"], [2, 0, 6])
    assert np.isnan(run(x=[np.nan, 2.0, 3.0])["g"]).tolist() == [True, False, False]
    np.testing.assert_array_equal(run(x=[1.0, 2.0, 4.0])["g"], [2, 0, 8])


def test_a_compiled_function_does_not_change_or_keep_its_inputs():
    run = gradcli.loads("variable x: [2]\ny = identity(x)").compile(["y"], inputs=["x"])
    x = np.array([1.0, 2.0])
    y = run(x=x)["y"]
    y[0] = 7
    assert x[0] == 1
    x[1] = 9
    assert run(x=x)["y"][1] == 9

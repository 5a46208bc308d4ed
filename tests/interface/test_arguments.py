"""The Python interface under arguments of every sort: each is taken, or refused by a GradcliError that says why."""

import inspect
import math
import pickle
from pathlib import Path

import numpy as np
import pytest

import gradcli

TEXT = "variable x = [3.0, 4.0]; variable k = 2.0; constant n = 3; y = k*norm(x); h = floor(x); output y"


class Odd:
    """An object that fails in whichever way it is used."""

    def __array__(self, *_, **__):
        raise RuntimeError("no array")

    def __index__(self):
        raise ValueError("no index")

    def __fspath__(self):
        raise TypeError("no path")

    def __iter__(self):
        raise TypeError("no iteration")


HOSTILE = {
    "None": None,
    "true": True,
    "minus one": -1,
    "zero": 0,
    "one and a half": 1.5,
    "nan": math.nan,
    "huge": 10**30,
    "empty text": "",
    "text": "x",
    "unknown name": "lost",
    "zeros": "zeros",
    "float16": "float16",
    "2G": "2G",
    "surrogate": "\udcff",
    "NUL": "a\0b",
    "bytes": b"x",
    "empty list": [],
    "list": ["x"],
    "list of None": [None],
    "list of numbers": [1, 2],
    "nested": [["x"]],
    "ragged": [[1.0], [1.0, 2.0]],
    "tuple": ("x", "k"),
    "set": {"x"},
    "empty mapping": {},
    "mapping": {"x": 1.0},
    "mapping to None": {"x": None},
    "mapping to text": {"x": "one"},
    "mapping to an expression": {"x": "[1, 2]"},
    "mapping to an object": {"x": object()},
    "mapping to complex": {"x": 1j},
    "mapping to a ragged list": {"x": [[1.0], [1.0, 2.0]]},
    "mapping to a wrong shape": {"x": np.ones((2, 2))},
    "mapping to huge": {"n": 10**30},
    "mapping to a fraction": {"n": 1.5},
    "mapping to text arrays": {"x": np.array(["a", "b"])},
    "mapping to dates": {"x": np.array(["2020-01-01"], dtype="datetime64[D]")},
    "mapping to records": {"x": np.zeros(2, dtype=[("a", float)])},
    "mapping to odd": {"x": Odd()},
    "mapping to many axes": {"x": np.ones((1,) * 64)},
    "mapping from a number": {1: 1.0},
    "mapping from None": {None: 1.0},
    "mapping from nothing known": {"lost": 1.0},
    "mapping from a result": {"y": 1.0},
    "array": np.array([1.0, 2.0]),
    "array of names": np.array(["x", "k"]),
    "integer of NumPy": np.int64(1),
    "bool of NumPy": np.True_,
    "array of an integer": np.array([1]),
    "complex": 1j,
    "object": object(),
    "odd": Odd(),
    "type": int,
    "function": len,
    "path": Path("nowhere.expr"),
}

CALLS = {
    "load": (gradcli.load, {"path": "model.expr"}),
    "loads": (gradcli.loads, {"text": TEXT}),
    "eval": (lambda **given: program().eval(**given), {}),
    "grad": (lambda **given: program().grad(**given), {}),
    "jacobian": (lambda **given: program().jacobian(**given), {}),
    "hessian": (lambda **given: program().hessian(**given), {}),
    "jvp": (lambda **given: program().jvp(**given), {"tangents": {"x": [1.0, 0.0]}}),
    "compile": (lambda **given: program().compile(**given), {"of": ["y"]}),
    "value_and_grad": (lambda **given: program().value_and_grad(**given), {}),
    "points": (lambda **given: program().points(**given), {"columns": {"k": [1.0, 2.0]}}),
    "derive": (lambda **given: program().derive(**given), {}),
    "explain": (lambda **given: program().explain(**given), {"wrt": ["k"]}),
    "check": (lambda **given: program().check(**given), {"wrt": ["k"], "order": 1}),
    "fit": (lambda **given: program().fit(**given), {"steps": 2}),
    "propagate": (lambda **given: program().propagate(**given), {"errors": {"k": 0.1}}),
}


def program():
    return gradcli.loads(TEXT)


def public(owner):
    return {name for name in vars(owner) if not name.startswith("_") and callable(getattr(owner, name))}


def methods():
    """The methods that the interface documents."""
    return public(gradcli.Program)


def parameters() -> list[tuple[str, str]]:
    functions = {name: getattr(gradcli, name, None) or getattr(gradcli.Program, name) for name in CALLS}
    signatures = {name: inspect.signature(function).parameters for name, function in functions.items()}
    return [(name, parameter) for name, found in signatures.items() for parameter in found if parameter != "self"]


def test_every_public_function_is_tried():
    functions = {name for name in dir(gradcli) if inspect.isfunction(getattr(gradcli, name))}
    assert {name for name in functions if not name.startswith("_")} | methods() == CALLS.keys()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameter"), parameters())
def test_any_argument_is_taken_or_refused_by_a_gradcli_error(name, parameter, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.expr").write_text(TEXT)
    call, needed = CALLS[name]
    for what, value in HOSTILE.items():
        try:
            call(**{**needed, parameter: value})
        except gradcli.GradcliError as error:
            assert error.message, what
            assert "object at 0x" not in error.message
        except Exception as error:  # noqa: BLE001
            pytest.fail(f"{name}({parameter}={what}) raises {type(error).__name__}: {error}")


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_any_input_of_a_compiled_function(value):
    run = program().compile(["y"], inputs=["x", "k"])
    for given in ({"x": value}, {"k": value}):
        try:
            run(**given)
        except gradcli.GradcliError:
            pass


@pytest.mark.parametrize(
    ("call", "kind", "help"),
    [
        (lambda: gradcli.loads(TEXT, dtype="float16"), "ValueError", 'dtype="float'),
        (lambda: gradcli.loads(TEXT, dtype=np.float32), "TypeError", "float32"),
        (lambda: gradcli.loads(TEXT, threads=0), "ValueError", None),
        (lambda: gradcli.loads(TEXT, threads=2.0), "TypeError", "threads=1"),
        (lambda: gradcli.loads(TEXT, max_memory="2G"), "TypeError", "max_memory=1"),
        (lambda: gradcli.loads(TEXT, max_memory=-5), "ValueError", None),
        (lambda: gradcli.loads(TEXT, random_seed=-1), "ValueError", None),
        (lambda: gradcli.loads(TEXT, settings=[1.0]), "TypeError", "settings="),
        (lambda: gradcli.loads(TEXT.encode()), "TypeError", "decode"),
        (lambda: gradcli.load(3), "TypeError", "Path"),
        (lambda: program().grad(order=0), "ValueError", None),
        (lambda: program().grad(order=-1), "ValueError", None),
        (lambda: program().grad(order=2001), "ValueError", None),
        (lambda: program().grad(order=1.5), "TypeError", "order=1"),
        (lambda: program().grad(order=True), "TypeError", "order=1"),
        (lambda: program().grad(unconnected="zeros"), "ValueError", '"zero"'),
        (lambda: program().grad(unconnected=None), "TypeError", '"none"'),
        (lambda: program().grad(seeds=[1.0]), "TypeError", "seeds="),
        (lambda: program().grad(seeds={"y": None}), "DataError", "a number"),
        (lambda: program().grad(seeds={"y": [1.0, 2.0]}), "ShapeError", None),
        (lambda: program().grad(seeds={"x": 1.0}), "ValueError", "name it"),
        (lambda: program().grad(stop="lost"), "NameError", None),
        (lambda: program().eval("loss"), "NameError", "it has"),
        (lambda: program().eval([1]), "TypeError", "of="),
        (lambda: program().eval(values=[1.0]), "TypeError", "values="),
        (lambda: program().eval(values={"x": "one"}), "DataError", None),
        (lambda: program().hessian([]), "ValueError", None),
        (lambda: program().jvp(None), "ValueError", "tangent"),
        (lambda: program().jvp({"x": [1.0, 2.0, 3.0]}), "ShapeError", None),
        (lambda: program().compile(None), "TypeError", "of="),
        (lambda: program().compile("y", processes="yes"), "TypeError", "processes="),
        (lambda: program().value_and_grad(unconnected="zeros"), "ValueError", '"zero"'),
        (lambda: program().points(None), "ValueError", "columns="),
        (lambda: program().points([1.0]), "TypeError", "columns="),
        (lambda: program().points({"k": 1.0}), "ShapeError", "rows"),
        (lambda: program().points({"x": [[1.0], [2.0]]}), "ShapeError", "rows"),
        (lambda: program().points({"k": [1.0], "x": [[1.0, 2.0]] * 2}), "ShapeError", None),
        (lambda: program().points({"k": [True]}), "TypeError", None),
        (lambda: program().points({"lost": [1.0]}), "NameError", "it has"),
        (lambda: program().points({"k": [1.0]}, wrt="x"), "ValueError", "order=1"),
        (lambda: program().derive(format="tex"), "ValueError", '"expr"'),
        (lambda: program().derive(steps=True, order=2), "ValueError", None),
        (lambda: program().derive(steps=True, format="python"), "ValueError", None),
        (lambda: program().derive(wrt="k", order=0), "ValueError", None),
        (lambda: program().explain(most=0), "ValueError", None),
        (lambda: program().check(order=3), "ValueError", None),
        (lambda: program().check(order="first"), "ValueError", '"both"'),
        (lambda: program().check(tolerance=0.0), "ValueError", None),
        (lambda: program().check(tolerance="1e-6"), "TypeError", "tolerance="),
        (lambda: program().check(directions=2, every_entry=True), "ValueError", None),
        (lambda: program().fit(method="bfgs"), "ValueError", '"lbfgs"'),
        (lambda: program().fit(lr="fast"), "ValueError", None),
        (lambda: program().fit(lr=-1.0), "ValueError", None),
        (lambda: program().fit(lr="0.1:cos"), "ValueError", None),
        (lambda: program().fit(method="lbfgs", lr=0.1), "ValueError", None),
        (lambda: program().fit(method="newton-cg", bounds={"x": (0.0, 1.0)}), "ValueError", None),
        (lambda: program().fit(until={"norm": 1.0}), "ValueError", None),
        (lambda: program().fit(until={"loss": "small"}), "TypeError", "until="),
        (lambda: program().fit(bounds={"x": 1.0}), "TypeError", "bounds="),
        (lambda: program().fit(bounds={"x": (1.0, 0.0)}), "ValueError", None),
        (lambda: program().fit(batch=2), "ValueError", None),
        (lambda: program().fit(every=2), "ValueError", None),
        (lambda: program().fit(resume="lost.npz"), "DataError", None),
    ],
)
def test_what_is_said_of_wrong_arguments(call, kind, help):
    with pytest.raises(gradcli.GradcliError) as info:
        call()
    assert info.value.kind == kind
    assert help is None or help in (info.value.help or "")


def test_a_string_is_one_name():
    p = program()
    assert p.eval("y") == p.eval(["y"]) == p.eval(name for name in ("y",))
    assert p.grad("y", "k") == p.grad(["y"], ["k"]) == {"k": 5.0}
    assert p.grad("y", "*", stop="x").keys() == {"x", "k"}
    assert p.jacobian("y", "k") == {"y": {"k": 5.0}}
    assert p.value_and_grad("y", "k") == ({"y": 10.0}, {"k": 5.0})
    assert p.points({"k": [1.0, 2.0]}, "y")["y"].tolist() == [5.0, 10.0]
    assert p.check("y", "k").passed
    assert [e.name for e in p.explain("y", "k").explanations] == ["k"]
    assert p.fit("y", "k", method="sgd", steps=1).values == {"k": pytest.approx(1.95)}
    assert p.hessian("y", "k") == {"k": {"k": 0.0}}
    assert p.jvp({"k": 1}, "y") == {"y": 5.0}
    assert p.compile("y", "k")(k=4.0) == {"y": 20.0}
    assert gradcli.loads("variable \ufb01 = 2.0; y = \ufb01").eval("\ufb01") == {"fi": 2.0}


def test_the_integers_and_bools_of_numpy_are_taken():
    assert program().grad(wrt=["k"], order=np.int32(1)) == {"k": 5.0}
    assert program().compile(["y"], processes=np.False_)() == {"y": 10.0}
    assert gradcli.loads("y = 1.0", threads=np.int64(2), max_memory=np.int64(1 << 30)).eval() == {"y": 1.0}


def test_what_there_is_to_see():
    assert {"GradcliError", "Program", "load", "loads", "__version__"} <= set(dir(gradcli))
    assert repr(program()) == "<Program '<string>': 1 output y; 2 variables x, k; 1 constant n>"
    assert repr(gradcli.loads("y = 1; z = 2", name="a.expr")) == "<Program 'a.expr': 2 names y, z>"
    assert repr(gradcli.loads("")) == "<Program '<string>': empty>"
    many = gradcli.loads("\n".join([f"variable w{i} = 0.0" for i in range(9)]))
    assert repr(many) == "<Program '<string>': 9 variables w0, w1, w2, w3, w4, …>"
    assert repr(program().compile(["y"], ["x", "k"])) == "<compiled y of x, k>"


def test_an_error_travels_between_processes():
    with pytest.raises(gradcli.GradcliError) as info:
        gradcli.loads("y = [1, 2] + [1, 2, 3]")
    again = pickle.loads(pickle.dumps(info.value))
    assert vars(again) == vars(info.value)
    assert str(again) == str(info.value)

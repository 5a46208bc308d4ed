"""Decompositions where the differences of the table of specs do not reach: coinciding values, high orders, errors."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest

import gradcli

MATRICES = {
    "identity": np.eye(3),
    "two alike": np.diag([1.0, 2.0, 1.0]),
    "turned": np.linalg.qr(np.arange(9.0).reshape(3, 3) ** 2 - 4)[0] @ np.diag([2.0, 5.0, 5.0])
    @ np.linalg.qr(np.arange(9.0).reshape(3, 3) ** 2 - 4)[0].T,
}  # fmt: skip

OF_EIGENVALUES = {
    "sum(w^2)": "trace(s @ s)",
    "sum(w^3) - 2*sum(w)": "trace(s @ s @ s) - 2*trace(s)",
    "sum(1/w)": "trace(inv(s))",
    "sum(log(w))": "logdet(s)",
    "mean(w)*z*sum(w*w)": "trace(s)/3*z*trace(s @ s)",
    "sum((w - z)/(w + z))": "trace((s - z*eye(3)) @ inv(s + z*eye(3)))",
    "sum(w)^3/sum(w^-2)": "trace(s)^3/trace(inv(s) @ inv(s))",
}
"""Functions of all eigenvalues w, and the same without them."""


ZERO = 'unconnected_gradients="zero"'


def derivatives(program: gradcli.Program, values: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Gradients by a and z, Hessian, mixed derivatives and the third order."""
    found = program.eval(["g", "h", "m", "n", "t"], values)
    third = program.grad(["y"], ["a"], order=3, values=values)["a"]
    return [*found.values(), np.zeros_like(found["g"]) if third is None else third]


@pytest.mark.slow
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("function", OF_EIGENVALUES)
def test_functions_of_all_eigenvalues_are_smooth_where_they_coincide(function: str, matrix: str) -> None:
    values = {"a": MATRICES[matrix]}
    rest = f"g, m = gradients(y, [a, z], {ZERO}); h = jacobian(g, a); n = gradients(sum(g*g), z, {ZERO})\n"
    rest += "k = gradients(sum(g*g), a); t = gradients(sum(k*k), a)"
    start = "variable a: [3, 3]; variable z = 0.7; "
    found = derivatives(gradcli.loads(f"{start}w = eigvalsh(a); y = {function}; {rest}"), values)
    expected = derivatives(gradcli.loads(f"{start}s = (a + a.T)/2; y = {OF_EIGENVALUES[function]}; {rest}"), values)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9 * np.max(np.abs(other)))


OF_SINGULAR_VALUES = {
    "sum(s^2)": "trace(q)",
    "sum(s^4)/z": "trace(q @ q)/z",
    "sum(1/(s*s))": "trace(inv(q))",
    "sum(log(s))": "logdet(q)/2",
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (2, 3)])
@pytest.mark.parametrize("function", OF_SINGULAR_VALUES)
def test_functions_of_all_singular_values_are_smooth_where_they_coincide(function: str, shape: tuple[int, int]) -> None:
    values = {"a": np.eye(*shape) * 1.5}
    gram = "a.T @ a" if shape[0] >= shape[1] else "a @ a.T"
    rest = f"g, m = gradients(y, [a, z], {ZERO}); h = jacobian(g, a); n = gradients(sum(g*g), z, {ZERO})\n"
    rest += "k = gradients(sum(g*g), a); t = gradients(sum(k*k), a)"
    start = f"variable a: {list(shape)}; variable z = 0.7; "
    found = derivatives(gradcli.loads(f"{start}s = svdvals(a); y = {function}; {rest}"), values)
    expected = derivatives(gradcli.loads(f"{start}q = {gram}; y = {OF_SINGULAR_VALUES[function]}; {rest}"), values)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9 * np.max(np.abs(other)))


def test_many_matrices_at_once_where_eigenvalues_coincide() -> None:
    stack = np.array(list(MATRICES.values()))
    program = gradcli.loads("variable a: [3, 3, 3]; y = sum(eigvalsh(a)^3, axis=-1)*[1.0, 2.0, 3.0]; z = sum(y)")
    found = program.grad(["z"], ["a"], values={"a": stack})["a"]
    np.testing.assert_allclose(found, 3 * np.arange(1, 4)[:, None, None] * (stack @ stack), rtol=1e-12, atol=1e-12)


def test_derivatives_that_do_not_exist_are_nan() -> None:
    for name, rows in (("eigenvectors(a)", np.eye(2)), ("singular_vectors(a)", np.eye(2))):
        program = gradcli.loads(f"variable a: [2, 2]; v = {name}; y = sum(v[0]*[1.0, 2.0])")
        assert np.isnan(program.grad(["y"], values={"a": rows})["a"]).all()
    largest = gradcli.loads("variable a: [2, 2]; y = max(eigvalsh(a))")
    np.testing.assert_allclose(largest.grad(values={"a": np.diag([1.0, 2.0])})["a"], [[0, 0], [0, 1]])
    nuclear = gradcli.loads("variable a: [2, 3]; y = sum(svdvals(a))")
    np.testing.assert_allclose(nuclear.grad(values={"a": np.eye(2, 3)})["a"], np.eye(2, 3), atol=1e-15)


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 2), (2, 2, 3)])
def test_the_parts_make_the_matrix_again(shape: tuple[int, ...]) -> None:
    a = np.random.default_rng(3).normal(size=shape)
    text = f"variable a: {list(shape)}; u, s, v = svd(a); "
    across = "transpose(v, [0, 2, 1])" if len(shape) == 3 else "v.T"
    text += f"y = (u*expand_dims(s, -2)) @ {across}; q, r = qr(a); z = q @ r; p = a @ pinv(a) @ a"
    found = gradcli.loads(text).eval(["y", "z", "p", "r"], {"a": a})
    for name in "yzp":
        np.testing.assert_allclose(found[name], a, atol=1e-13)
    assert np.array_equal(found["r"], np.triu(found["r"]))


@pytest.mark.parametrize("size", [1e-300, 1e-8, 0.3, 4.0, 60.0, 600.0])
def test_the_exponential_at_every_scale(size: float) -> None:
    a = np.random.default_rng(5).uniform(-1, 1, (3, 3)) * size / 2
    found = gradcli.loads("variable a: [3, 3]; y = expm(a)").eval(values={"a": a})["y"]
    with mp.workdps(500):
        expected = np.array(mp.expm(mp.matrix(a.tolist()), method="taylor").tolist(), dtype=float)
    np.testing.assert_allclose(
        found, expected, rtol=1e-13 * (1 + size), atol=1e-15 * np.max(np.abs(expected)) * (1 + size)
    )


def test_special_exponentials() -> None:
    for text in (
        "expm([[0.0, 1.0], [0.0, 0.0]])",
        "expm(zeros([2, 2]))",
        "expm([[nan, 0.0], [0.0, 0.0]])",
        "expm([[0.0, 1e4], [0.0, 0.0]])",
    ):
        y = gradcli.loads(f"y = {text}").eval()["y"]
        expected = {
            "1.0": [[1, 1], [0, 1]],
            "zer": np.eye(2),
            "nan": np.full((2, 2), np.nan),
            "1e4": [[1, 1e4], [0, 1]],
        }
        np.testing.assert_allclose(y, next(v for k, v in expected.items() if k in text), rtol=1e-12)
    program = gradcli.loads("dtype float32; variable a = [[1.0, 2.0], [3.0, 4.0]]; y = sum(expm(a))")
    assert program.eval(["y"])["y"].dtype == np.float32
    double = gradcli.loads("variable a = [[1.0, 2.0], [3.0, 4.0]]; y = sum(expm(a))")
    np.testing.assert_allclose(program.grad()["a"], double.grad()["a"], rtol=1e-5)


def test_a_rotation_is_differentiated_often() -> None:
    """expm(t*J) turns by t: its derivatives are turns, too."""
    program = gradcli.loads("variable t = 0.4; y = expm(t*[[0.0, -1.0], [1.0, 0.0]])[1, 0]; d = taylor(y, t, 5)")
    np.testing.assert_allclose(program.eval(["d"])["d"], np.sin(0.4 + np.arange(6) * np.pi / 2), rtol=1e-12)
    assert program.grad(["y"], order=3)["t"] == pytest.approx(-np.cos(0.4), rel=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y = eigvalsh([[1.0, 2.0]])", "eigvalsh needs a square matrix"),
        ("u, s, v = svd([1.0, 2.0])", "needs a matrix"),
        ("y = svdvals(1.0)", "needs a matrix"),
        ("q, r = qr([1.0])", "needs a matrix"),
        ("y = pinv([1.0])", "needs a matrix"),
        ("y = lstsq([1.0], [1.0])", "needs a matrix"),
        ("y = expm([[1.0, 2.0]])", "needs a square matrix"),
        ("y = expm_frechet([[1.0]], [[1.0, 2.0]])", "two matrices of one shape"),
        ("y = slogdet([[1.0]])", "cannot be unpacked into 1 name"),
    ],
)
def test_wrong_arguments(text: str, message: str) -> None:
    with pytest.raises(gradcli.GradcliError, match=message) as caught:
        gradcli.loads(text)
    assert caught.value.span is not None


CALLS = ["eigvalsh(a)", "eigenvectors(a)", "svdvals(a)", "singular_vectors(a)", "orthonormal(a)", "logabsdet(a)*[1.0]", "pinv(a)",
         "expm(a)", "expm_frechet(a, a.T)", "sum(exp(eigvalsh(a)))*[1.0]", "sum(svdvals(a))*[1.0]"]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
def test_jacobians_and_hessians_are_the_gradients_of_each_entry(call: str) -> None:
    start = f"variable a = [[1.0, 0.3], [0.2, 3.0]]; y = reshape({call}, [-1]); s = sum(y*y*y); g = reshape(gradients(s, a), [-1])\n"
    program = gradcli.loads(f"{start}j = jacobian(y, a); h = hessian(s, a); k = jacobian(g, a)")
    found = program.eval(["y", "j", "h", "k"])
    rows = "".join(f"j{i} = gradients(y[{i}], a)\n" for i in range(found["y"].size))
    rows += "".join(f"h{i} = gradients(g[{i}], a)\n" for i in range(4))
    names = [*[f"j{i}" for i in range(found["y"].size)], *[f"h{i}" for i in range(4)]]
    expected = [gradcli.loads(start + rows).eval(names)[name] for name in names]
    np.testing.assert_allclose(found["j"], expected[:-4], rtol=1e-10, atol=1e-12)
    for name in "hk":
        np.testing.assert_allclose(found[name].reshape(4, 2, 2), expected[-4:], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("call", CALLS)
def test_forward_mode_is_reverse_mode(call: str) -> None:
    program = gradcli.loads(
        f"variable a = [[1.0, 0.3], [0.2, 3.0]]; constant v = [[0.5, -1.0], [2.0, 0.25]]; y = {call}\n"
        "f = jvp(y, a, v); j = jacobian(y, a); s = sum(y*y*y); h = hvp(s, a, v); g = gradients(s, a); k = jacobian(g, a)"
    )
    found = program.eval(["f", "j", "h", "k"])
    v = np.array([[0.5, -1.0], [2.0, 0.25]])
    np.testing.assert_allclose(found["f"], np.tensordot(found["j"], v, 2), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found["h"], np.tensordot(found["k"], v, 2), rtol=1e-9, atol=1e-10)


SMOOTH = {
    "sum(exp(w))": lambda w: np.exp(w),
    "sum(sqrt(w)*w)": lambda w: 0.75 / np.sqrt(w),
    "sum(w*log(w)) + sum(w)": lambda w: 1 / w,
    "sum(tanh(w)/w)": None,
}


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("function", SMOOTH)
def test_second_derivatives_of_any_function_of_each_eigenvalue_exist_where_they_coincide(
    function: str, matrix: str
) -> None:
    """Against a matrix beside the one where they do, whose eigenvalues are apart: they are continuous."""
    program = gradcli.loads(
        f"variable a: [3, 3]; w = eigvalsh(a); y = {function}; g = gradients(y, a); h = jacobian(g, a)"
    )
    at = MATRICES[matrix]
    here = program.eval(["h"], {"a": at})["h"]
    beside = [program.eval(["h"], {"a": at + sign * 1e-4 * np.diag([1.0, -0.5, 0.2])})["h"] for sign in (1, -1)]
    np.testing.assert_allclose(here, (beside[0] + beside[1]) / 2, rtol=1e-6, atol=1e-6)
    if matrix == "identity" and (curvature := SMOOTH[function]) is not None:
        unit = np.eye(3)
        symmetric = np.einsum("ik,jl->ijkl", unit, unit) + np.einsum("il,jk->ijkl", unit, unit)
        np.testing.assert_allclose(here, curvature(1.0) / 2 * symmetric, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (2, 3)])
@pytest.mark.parametrize("function", ["sum(s)", "sum(exp(s))", "sum(log(s)*s)"])
def test_second_derivatives_of_any_function_of_each_singular_value_exist(function: str, shape: tuple[int, int]) -> None:
    program = gradcli.loads(
        f"variable a: {list(shape)}; s = svdvals(a); y = {function}; g = gradients(y, a); h = jacobian(g, a)"
    )
    at = np.eye(*shape) * 1.5
    moves = np.zeros(shape)
    moves[0, 0], moves[1, 1] = 1e-4, -0.6e-4
    here = program.eval(["h"], {"a": at})["h"]
    beside = [program.eval(["h"], {"a": at + sign * moves})["h"] for sign in (1, -1)]
    np.testing.assert_allclose(here, (beside[0] + beside[1]) / 2, rtol=1e-6, atol=1e-6)


def test_second_derivatives_that_do_not_exist_are_nan() -> None:
    program = gradcli.loads("variable a: [2, 2]; y = eigvalsh(a)[0]; g = gradients(y, a); h = jacobian(g, a)")
    assert np.isnan(program.eval(["h"], {"a": np.eye(2)})["h"]).any()


MOVED = np.array([[1.0, 2.0, 0.5], [2.0, -1.0, 0.3], [0.5, 0.3, 2.0]])


@pytest.mark.parametrize("order", [2, 3, 4, 5, 8])
def test_derivatives_of_any_order_where_all_eigenvalues_coincide(order: int) -> None:
    """Of numbers that are rational functions of all eigenvalues alike, against traces of powers of the matrix."""

    def trace(t: mp.mpf, n: int) -> mp.mpf:
        power = (mp.eye(3) + t * mp.matrix(MOVED.tolist())) ** n
        return sum(power[i, i] for i in range(3))

    cases = {
        "sum(eigvalsh(A)^2)": lambda t: trace(t, 2),
        "sum(1/eigvalsh(A))": lambda t: trace(t, -1),
        "log(sum(eigvalsh(A)^2))": lambda t: mp.log(trace(t, 2)),
        "t*mean(eigvalsh(A)^3)": lambda t: t * trace(t, 3) / 3,
        "sum(svdvals(A)^4)": lambda t: trace(t, 4),
    }
    text = f"variable t = 0.0\nA = eye(3) + t*{MOVED.tolist()}\n"
    text += "".join(f"y{k} = {case}\nz{k} = taylor(y{k}, t, {order})\n" for k, case in enumerate(cases))
    program = gradcli.loads(text)
    with mp.workdps(60):
        for k, function in enumerate(cases.values()):
            expected = float(mp.diff(function, 0, order))
            assert program.grad([f"y{k}"], order=order)["t"] == pytest.approx(expected, rel=1e-11, abs=1e-11)
            assert program.eval([f"z{k}"])[f"z{k}"][order] == pytest.approx(expected, rel=1e-11, abs=1e-11)

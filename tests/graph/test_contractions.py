"""Contractions: the order in which operands meet, and values against NumPy's einsum."""

from __future__ import annotations

import numpy as np
import pytest

import gradcli
from gradcli.graph.ops.contract import einsum_kernel
from gradcli.graph.ops.paths import contraction_path

EQUATIONS = [
    "ij,jk->ik", "ij,jk,kl->il", "ij,kj,kl,lm->im", "a,a,ab,ac->bc", "ij,ij->", "ij,kl->ijkl", "bij,bjk->bik", "ij,j->i",
    "ijk,jk,k->i", "ab,bc,cd,de,ef,fg->ag", "i,i,i->i", "ij->ji", "ij->j", "ij,jk,k,k->i", "abc,cd,bd->ad",
]  # fmt: skip


@pytest.mark.parametrize("equation", EQUATIONS)
def test_values_are_those_of_einsum(equation: str) -> None:
    random = np.random.RandomState(0)
    size = {letter: 2 + ord(letter) % 4 for letter in "abcdefghijklm"}
    terms, out = equation.split("->")
    arrays = [random.normal(size=[size[k] for k in term]) for term in terms.split(",")]
    labels = [tuple(map(ord, term)) for term in terms.split(",")]
    expected = np.einsum(equation, *arrays)
    np.testing.assert_allclose(
        einsum_kernel(np, *arrays, labels=labels, out=tuple(map(ord, out))), expected, rtol=1e-12
    )


def test_a_diagonal_meets_a_vector_before_a_matrix() -> None:
    path = contraction_path(((0, 1), (0,), (0,), (0, 2)), ((900, 30), (900,), (900,), (900, 30)), (1, 2))
    assert path[0] == (1, 2)


def test_a_chain_of_matrices_is_multiplied_from_its_thin_end() -> None:
    path = contraction_path(((0, 1), (1, 2), (2, 3)), ((50, 50), (50, 50), (50, 1)), (0, 3))
    assert path[0] == (1, 2)


def test_the_square_root_form_of_a_gram_matrix_is_not_taken_for_negative_weights() -> None:
    x, s = np.random.RandomState(0).normal(size=(7, 3)), np.array([1.0, -2, 3, 0, 1, 1, 1])
    labels = [(0, 1), (0,), (0, 2)]
    y = einsum_kernel(np, x, s, x, labels=labels, out=(1, 2), gram=True)
    np.testing.assert_allclose(y, x.T * s @ x, rtol=1e-12, atol=1e-12)


def test_matmul_broadcasts_leading_axes_and_its_gradient_adds_them_up() -> None:
    program = gradcli.loads(
        "variable a = random_normal([2, 1, 3, 4])\nvariable b = random_normal([5, 4, 2])\ny = a @ b"
    )
    values = program.eval(["a", "b", "y"])
    np.testing.assert_allclose(values["y"], values["a"] @ values["b"], rtol=1e-12)
    gradient = program.grad()
    np.testing.assert_allclose(gradient["a"], np.broadcast_to(values["b"].sum((0, 2)), (2, 1, 3, 4)), rtol=1e-12)

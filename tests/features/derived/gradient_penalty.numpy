"""The gradient of loss with respect to W1, b1, W2, b2.

Written by gradcli derive from samples/gradient_penalty.expr.
"""

import math

import numpy as np


def _divide_no_nan(a, b):
    """a / b, and 0 where b is 0."""
    return np.where(b == 0, np.zeros_like(b), a / np.where(b == 0, np.ones_like(b), b))


def _norm(x, axes, keepdims):
    """Scaled by the largest entry where squares overflow or vanish."""
    squares, ordinary = _sum_of_squares(x, axes)
    if ordinary:
        y = np.sqrt(squares)
    else:
        scale = _scale(x, axes)
        squared = x / scale
        squared *= squared
        y = scale * np.sqrt(np.sum(squared, axis=tuple(axes), keepdims=True))
    return y if keepdims else np.squeeze(y, axis=tuple(axes))


def _scale(x, axes):
    """The largest entry along axes, 1 where that is 0 or not finite: of what is divided by it, squares stay in range."""
    largest = np.max(np.abs(x), axis=tuple(axes), keepdims=True, initial=0)
    return np.where((largest == 0) | ~np.isfinite(largest), np.ones_like(largest), largest)


def _sum_of_squares(x, axes):
    """The sum along axes, and whether it is far from where squares overflow or vanish."""
    squares = np.sum(np.square(x), axis=tuple(axes), keepdims=True)
    if x.dtype.kind != 'f':
        return (squares, False)
    limits = np.finfo(x.dtype)
    low, high = (math.sqrt(float(limits.smallest_normal)), math.sqrt(float(limits.max)))
    return (squares, bool(((squares > low) & (squares < high)).all()))


@np.errstate(all="ignore")
def gradient(real=None, fake=None, mix=None, W1=None, b1=None, W2=None, b2=0.0):
    """The gradient of loss with respect to W1, b1, W2, b2.

    Parameters are given as anything that NumPy takes for an array; left out, they have the program's
    values.

        real: float64, shape [6, 2]
        fake: float64, shape [6, 2]
        mix: float64, shape [6, 1]
        W1: float64, shape [2, 4]
        b1: float64, shape [4]
        W2: float64, shape [4, 1]
        b2: float64, shape []

    Returns a dict with "W1", "b1", "W2", "b2": arrays of the shapes of the parameters, or None where
    there is no gradient.
    """
    if real is None:
        real = np.random.RandomState(1).normal(1, 0.5, (6, 2)).astype(np.float64)
    real = np.broadcast_to(np.asarray(real, dtype=np.float64), (6, 2))
    if fake is None:
        fake = np.random.RandomState(2).normal(-1, 0.5, (6, 2)).astype(np.float64)
    fake = np.broadcast_to(np.asarray(fake, dtype=np.float64), (6, 2))
    if mix is None:
        mix = np.random.RandomState(3).uniform(0, 1, (6, 1)).astype(np.float64)
    mix = np.broadcast_to(np.asarray(mix, dtype=np.float64), (6, 1))
    if W1 is None:
        W1 = np.random.RandomState(4).normal(0, 1, (2, 4)).astype(np.float64)
    W1 = np.broadcast_to(np.asarray(W1, dtype=np.float64), (2, 4))
    if b1 is None:
        b1 = np.zeros((4,), dtype=np.float64)
    b1 = np.broadcast_to(np.asarray(b1, dtype=np.float64), (4,))
    if W2 is None:
        W2 = np.random.RandomState(5).normal(0, 1, (4, 1)).astype(np.float64)
    W2 = np.broadcast_to(np.asarray(W2, dtype=np.float64), (4, 1))
    between = real * mix + fake * (1 - mix)
    t1 = np.reshape(W2, (4,))
    t2 = fake @ W1 + b1
    t3 = np.tanh(real @ W1 + b1)
    dloss_db2 = np.float64(0)
    t4 = 0.16666666666666666 * np.reshape(np.sum(np.tanh(t2), axis=0), (4, 1)) - 0.16666666666666666 * np.reshape(np.sum(t3, axis=0), (4, 1))
    t5 = t1 * (1 - t3 ** 2)
    t6 = 0.16666666666666666 * t1 / np.cosh(t2) ** 2
    t7 = np.tanh(between @ W1 + b1)
    t8 = 1 - t7 ** 2
    t9 = t1 * t8 @ W1.T
    slope = _norm(t9, (1,), False)
    t10 = _divide_no_nan(t9, _norm(t9, (1,), True))
    t11 = np.reshape(slope - 1, (6, 1)) * t10 @ W1
    t12 = t1 * t7 * t8 * t11
    t13 = fake.T @ t6 - 0.16666666666666666 * real.T @ t5 + 3.333333333333333 * (slope - 1) * t10.T @ (t1 * t8)
    dloss_dW1 = t13 - 6.666666666666666 * between.T @ t12
    dloss_db1 = np.sum(t6, axis=0) - 0.16666666666666666 * np.sum(t5, axis=0) - 6.666666666666666 * np.sum(t12, axis=0)
    dloss_dW2 = t4 + 3.333333333333333 * np.reshape(np.sum(t8 * t11, axis=0), (4, 1))
    return {
        "W1": np.array(dloss_dW1),
        "b1": np.array(dloss_db1),
        "W2": np.array(dloss_dW2),
        "b2": np.array(dloss_db2),
    }

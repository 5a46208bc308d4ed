"""The gradient of loss with respect to W1, b1, W2, b2.

Written by gradcli derive from samples/gradient_penalty.expr.
"""

import numpy as np


def _divide_no_nan(a, b):
    """a / b, and 0 where b is 0."""
    return np.where(b == 0, np.zeros_like(b), a / np.where(b == 0, np.ones_like(b), b))


def _norm(x, axes, keepdims):
    """Scaled by the largest entry, so that squares neither overflow nor vanish."""
    largest = np.max(np.abs(x), axis=tuple(axes), keepdims=True, initial=0)
    scale = np.where((largest == 0) | ~np.isfinite(largest), np.ones_like(largest), largest)
    y = scale * np.sqrt(np.sum(np.square(x / scale), axis=tuple(axes), keepdims=True))
    return y if keepdims else np.squeeze(y, axis=tuple(axes))


@np.errstate(all="ignore")
def gradient(real=None, fake=None, mix=None, W1=None, b1=None, W2=None, b2=0.0):
    """The gradient of loss with respect to W1, b1, W2, b2.

    Parameters are given as anything that NumPy takes for an array; left out, they have the program's values.

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
    t2 = np.tanh(fake @ W1 + b1)
    t3 = np.tanh(real @ W1 + b1)
    dloss_db2 = np.float64(0)
    t4 = 0.16666666666666666 * np.reshape(np.sum(t2, axis=0), (4, 1)) - 0.16666666666666666 * np.reshape(np.sum(t3, axis=0), (4, 1))
    t5 = t1 * (1 - t3 ** 2)
    t6 = t1 * (1 - t2 ** 2)
    t7 = 0.16666666666666666 * np.sum(t6, axis=0) - 0.16666666666666666 * np.sum(t5, axis=0)
    t8 = np.tanh(between @ W1 + b1)
    t9 = 1 - t8 ** 2
    t10 = t1 * t9 @ W1.T
    slope = _norm(t10, (1,), False)
    t11 = (slope - 1) * _divide_no_nan(np.float64(1), slope)
    t12 = np.reshape(t11, (6, 1)) * t10 @ W1
    t13 = t1 * t8 * t9 * t12
    t14 = 0.16666666666666666 * fake.T @ t6 - 0.16666666666666666 * real.T @ t5 + 3.333333333333333 * t11 * t10.T @ (t1 * t9)
    dloss_dW1 = t14 - 6.666666666666666 * between.T @ t13
    dloss_db1 = t7 - 6.666666666666666 * np.sum(t13, axis=0)
    dloss_dW2 = t4 + 3.333333333333333 * np.reshape(np.sum(t9 * t12, axis=0), (4, 1))
    return {
        "W1": np.array(dloss_dW1),
        "b1": np.array(dloss_db1),
        "W2": np.array(dloss_dW2),
        "b2": np.array(dloss_db2),
    }

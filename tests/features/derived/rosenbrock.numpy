"""The gradient of y with respect to x.

Written by gradcli derive from samples/rosenbrock.expr.
"""

import numpy as np


@np.errstate(all="ignore")
def gradient(x=(-1.2, 1.0, 0.5, 1.0, 1.5, 0.8)):
    """The gradient of y with respect to x.

    Parameters are given as anything that NumPy takes for an array; left out, they have the program's
    values.

        x: float64, shape [6]

    Returns a dict with "x": arrays of the shapes of the parameters, or None where there is no gradient.
    """
    x = np.broadcast_to(np.asarray(x, dtype=np.float64), (6,))
    t1 = x[1:] - x[:5] ** 2
    dy_dx = np.pad(-2 * (1 - x[:5]), [(0, 1)]) + np.pad(-400 * x[:5] * t1, [(0, 1)]) + np.pad(200 * t1, [(1, 0)])
    return {"x": np.array(dy_dx)}

"""The gradient of b with respect to w1, w2.

Written by gradcli derive from samples/stopped_node.expr.
"""

import numpy as np


@np.errstate(all="ignore")
def gradient(w1=2.0, w2=2.0):
    """The gradient of b with respect to w1, w2.

    Parameters are given as anything that NumPy takes for an array; left out, they have the program's
    values. They may have any shapes that broadcast: each entry is a point of its own.

        w1: float32, shape []
        w2: float32, shape []

    Returns a dict with "w1", "w2": arrays of the shapes of the parameters, or None where there is no
    gradient.
        w1 is None: cut by stop_gradient(a) on line 10
    """
    w1 = np.asarray(w1, dtype=np.float32)
    a = 3 * w1
    a_stopped = a
    return {"w1": None, "w2": np.array(a_stopped)}

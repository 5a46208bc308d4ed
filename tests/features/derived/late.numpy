"""The gradient of loss with respect to h, scale.

Written by gradcli derive from samples/late.expr.
"""

import numpy as np


@np.errstate(all="ignore")
def gradient(
    h=(0.2397127693021015, 0.8414709848078965, 1.8185948536513634),
    scale=0.22313016014842982,
):
    """The gradient of loss with respect to h, scale.

    Parameters are given as anything that NumPy takes for an array; left out, they have the program's
    values.

        h: float64, shape [3]
        scale: float64, shape []

    Returns a dict with "h", "scale": arrays of the shapes of the parameters, or None where there is no
    gradient.
    """
    h = np.broadcast_to(np.asarray(h, dtype=np.float64), (3,))
    scale = np.broadcast_to(np.asarray(scale, dtype=np.float64), ())
    dloss_dscale = np.sum(h ** 2)
    dloss_dh = 2 * scale * h
    return {"h": np.array(dloss_dh), "scale": np.array(dloss_dscale)}

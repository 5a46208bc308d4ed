"""Values or gradients of one function at every row of a CSV file with NumPy: ``points_numpy.py eval|grad rows.csv``."""

import sys

import numpy as np


def values(x, y, z):
    return (np.sin(x * y + z) * x - 0.5 * np.tanh(z)) / (1.5 + y * y)


def gradient(x, y, z):
    angle, t, below = x * y + z, np.tanh(z), 1.5 + y * y
    s, c = np.sin(angle), np.cos(angle)
    f = (s * x - 0.5 * t) / below
    return (c * y * x + s) / below, (c * x * x - f * 2 * y) / below, (c * x - 0.5 * (1 - t * t)) / below


command, path = sys.argv[1:]
x, y, z = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2).T
if command == "eval":
    np.savetxt(sys.stdout, values(x, y, z), fmt="%.17g", header="f", comments="")
else:
    np.savetxt(sys.stdout, np.column_stack(gradient(x, y, z)), fmt="%.17g", delimiter=",", header="x,y,z", comments="")

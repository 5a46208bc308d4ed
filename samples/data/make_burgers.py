"""Write burgers.csv: the solution of Burgers' equation, u_t + u*u_x = nu*u_xx with nu = 0.01/pi and u = -sin(pi*x) at t = 0.

It is that of Cole and Hopf, u = -∫ sin(pi*y) w dy / ∫ w dy with w = exp(-cos(pi*y)/(2*pi*nu) - (x - y)^2/(4*nu*t)), by the
trapezoidal rule; a row holds x, t and u. Run it as ``python samples/data/make_burgers.py``.
"""

from pathlib import Path

import numpy as np

nu = 0.01 / np.pi
rows = []
for t in (0.25, 0.5, 0.75, 1.0):
    for x in np.linspace(-1, 1, 41):
        y = np.linspace(x - 2, x + 2, 40_001)
        exponent = -np.cos(np.pi * y) / (2 * np.pi * nu) - (x - y) ** 2 / (4 * nu * t)
        w = np.exp(exponent - exponent.max())
        u = -np.sum(np.sin(np.pi * y) * w) / np.sum(w)
        rows.append(f"{x:.2f},{t},{u + 0.0:.6f}\n".replace("-0.000000", "0.000000"))
Path(__file__).with_name("burgers.csv").write_text("x,t,u\n" + "".join(rows))

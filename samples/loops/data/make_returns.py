"""Write returns.csv: invented daily returns in percent that follow a GARCH(1,1), whose largest likelihood garch.expr finds.

Run it as ``python samples/loops/data/make_returns.py``; RandomState is frozen, so that the file comes out the same
everywhere. The first 500 days, in which the variance forgets where it began, are left out.
"""

from pathlib import Path

import numpy as np

MU, OMEGA, ALPHA, BETA = 0.05, 0.02, 0.08, 0.90
FIRST, DAYS = 500, 1859

variance, returns = OMEGA / (1 - ALPHA - BETA), []
for z in np.random.RandomState(13).normal(size=FIRST + DAYS):
    e = variance**0.5 * z
    returns.append(MU + e)
    variance = OMEGA + ALPHA * e**2 + BETA * variance
rows = [f"{r:.4f}\n" for r in returns[FIRST:]]
Path(__file__).with_name("returns.csv").write_text("percent\n" + "".join(rows))

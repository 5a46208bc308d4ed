"""Write spiral.csv: points x, y of two arms that wind around each other, 100 of each, and which arm they belong to.

Run it as ``python samples/data/make_spiral.py``; RandomState is frozen, so that the file comes out the same everywhere.
"""

from pathlib import Path

import numpy as np

random = np.random.RandomState(3)
rows = []
for arm in (0, 1):
    radius = np.linspace(0.15, 1.0, 100)
    angle = 3.5 * np.pi * radius + np.pi * arm
    x = radius * np.cos(angle) + random.normal(0, 0.02, 100)
    y = radius * np.sin(angle) + random.normal(0, 0.02, 100)
    rows += [f"{a:.4f},{b:.4f},{arm}\n" for a, b in zip(x, y, strict=True)]
Path(__file__).with_name("spiral.csv").write_text("x,y,arm\n" + "".join(rows))

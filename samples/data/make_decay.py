"""Write decay.csv: counts of an invented radioactive source over a background, each in a minute, for two hours.

Run it as ``python samples/data/make_decay.py``; RandomState is frozen, so that the file comes out the same everywhere.
"""

from pathlib import Path

import numpy as np

random = np.random.RandomState(5)
minutes = np.arange(0.0, 120.0, 2.0)
counts = random.poisson(900 * np.exp(-minutes / 25.0) + 60)
rows = [f"{t:.0f},{n}\n" for t, n in zip(minutes, counts, strict=True)]
Path(__file__).with_name("decay.csv").write_text("minutes,counts\n" + "".join(rows))

"""Write exams.csv: hours of study, hours of sleep, and whether the exam was passed, for 80 invented students.

Run it as ``python samples/data/make_exams.py``; RandomState is frozen, so that the file comes out the same everywhere.
"""

from pathlib import Path

import numpy as np

random = np.random.RandomState(7)
study = np.round(random.gamma(4.0, 3.0, 80), 1)
sleep = np.round(np.clip(random.normal(7.0, 1.2, 80), 3.0, 10.0), 1)
chance = 1 / (1 + np.exp(-(0.35 * (study - 11.0) + 0.6 * (sleep - 7.0))))
passed = random.uniform(size=80) < chance
rows = [f"{a},{b},{int(c)}\n" for a, b, c in zip(study, sleep, passed, strict=True)]
Path(__file__).with_name("exams.csv").write_text("study_hours,sleep_hours,passed\n" + "".join(rows))

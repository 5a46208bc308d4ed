"""Write ratings.csv: what 40 invented readers think of 25 books, from 1 to 5; a zero says that a book was not read.

Run it as ``python samples/data/make_ratings.py``; RandomState is frozen, so that the file comes out the same everywhere.
"""

from pathlib import Path

import numpy as np

random = np.random.RandomState(11)
taste = random.normal(size=(40, 2))
style = random.normal(size=(2, 25))
opinion = 3.0 + 0.8 * taste @ style + random.normal(0, 0.3, (40, 25))
ratings = np.clip(np.round(opinion), 1, 5).astype(int)
ratings[random.uniform(size=ratings.shape) < 0.4] = 0
text = "".join(",".join(map(str, row)) + "\n" for row in ratings.tolist())
Path(__file__).with_name("ratings.csv").write_text(text)

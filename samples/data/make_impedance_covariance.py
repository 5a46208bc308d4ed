"""Write impedance_covariance.csv: the covariance of the means of impedance.csv, as ``gradcli propagate --cov`` reads it.

The five measurements are those of table H.2 of JCGM 100:2008; volts, amperes and radians.
"""

from pathlib import Path

import numpy as np

volts = [5.007, 4.994, 5.005, 4.990, 4.999]
amperes = [19.663e-3, 19.639e-3, 19.640e-3, 19.685e-3, 19.678e-3]
radians = [1.0456, 1.0438, 1.0468, 1.0428, 1.0433]
rows = [
    ",".join([name, *(f"{entry:.10g}" for entry in row)]) + "\n"
    for name, row in zip(["V", "I", "phi"], np.cov([volts, amperes, radians]) / 5, strict=True)
]
Path(__file__).with_name("impedance_covariance.csv").write_text(",V,I,phi\n" + "".join(rows))

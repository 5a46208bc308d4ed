"""The optimisations that can be turned off, to compare answers and times with and without them.

``GRADCLI_WITHOUT`` lists names: ``simplify`` (rewrite/simplify.py), ``tiles`` (execute/cuts.py), ``halfangle``
(graph/ops/half_angle.py), ``sweep`` (program/swept.py), ``repeated`` (language/repeated.py), ``scalars``
(language/scalars.py), ``templates`` (language/templates.py), ``plain`` (execute/plain_numbers.py), ``straight``
(execute/straight.py), ``loops`` (language/looping.py), ``entries`` (execute/entries.py), ``order`` (execute/order.py),
``apart`` (program/apart.py). Each module says why it is there; ``python -m tests.benchmarks --only optimisations`` prints what each gains.
"""

from __future__ import annotations

import os


def without(name: str) -> bool:
    """Whether an optimisation is turned off."""
    return name in os.environ.get("GRADCLI_WITHOUT", "").split(",")

"""The process of the ``gradcli`` script and of ``python -m gradcli``: what is set before anything is imported, and its end."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit: 0 done, 1 program or data at fault, 2 usage."""
    # What NumPy says of overflows and divisions is no message for users: they see the NaN and infinities.
    warnings.simplefilter("ignore")
    # Threads of NumPy's BLAS are started where a product is worth them (gradcli.execute.blas).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Modules and graphs are many small objects without cycles, among which the collector would search in vain: while
    # they are made (2 ms of every start), and once more at the end of the process (5 ms, with NumPy 13).
    gc.set_threshold(2_000_000, 50, 50)
    from gradcli.commands.main import run

    status = run()
    gc.freeze()
    sys.exit(status)


if __name__ == "__main__":
    main()

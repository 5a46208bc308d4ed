"""The process of the ``gradcli`` script and of ``python -m gradcli``: what is set before anything is imported, and its end."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from contextlib import suppress
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit: 0 done, 1 program or data at fault, 2 usage, 130 by Ctrl-C."""
    try:
        from gradcli.commands import stopping

        stopping.listen()
        # What NumPy says of overflows and divisions is no message for users: they see the NaN and infinities.
        warnings.simplefilter("ignore")
        # Threads of NumPy's BLAS are started where a product is worth them (gradcli.execute.blas).
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # Modules and graphs are many small objects without cycles, among which the collector would search in vain.
        gc.set_threshold(2_000_000, 50, 50)
        from gradcli.commands.main import run

        status = run()
    except KeyboardInterrupt:
        status = 130
    # All is written. What the interpreter would do now, freeing millions of nodes one by one, is for nobody.
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()

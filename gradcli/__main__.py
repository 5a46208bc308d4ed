"""The process of the ``gradcli`` script and of ``python -m gradcli``: what is set before anything is imported, and its end."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself takes a while to be imported, in which Ctrl-C would leave a traceback
import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def _end(number: int, _: object) -> None:
    """What a signal does while there is nothing to be closed yet."""
    os._exit(128 + number)


def main() -> NoReturn:
    """Run the command line and exit: 0 done, 1 program or data at fault, 2 usage, 130 by Ctrl-C."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # not where it is ignored
        _signal.signal(_signal.SIGINT, _end)
    from gradcli.commands import stopping

    try:
        stopping.listen()
        import warnings

        # What NumPy says of overflows and divisions is no message for users: they see the NaN and infinities.
        warnings.simplefilter("ignore")
        # Threads of NumPy's BLAS are started where a product is worth them (gradcli.execute.blas).
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # Modules and graphs are many small objects without cycles, among which the collector would search in vain.
        gc.set_threshold(2_000_000, 50, 50)
        from gradcli.commands import light

        light.import_click()
        light.spare_documentation()
        from gradcli.commands.main import run

        status = run()
    except KeyboardInterrupt:
        status = stopping.status()
    # All is written. What the interpreter would do now, freeing millions of nodes one by one, is for nobody.
    try:
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass
    os._exit(status)


if __name__ == "__main__":
    main()

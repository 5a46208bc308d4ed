"""What JAX computes on: the choice of a device, the import of JAX, and its settings."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import GradcliError
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.execute.cluster import Cluster
    from gradcli.execute.profile import Figures

DEVICE = r"(cpu|gpu|tpu)(:\d{1,4})?"
"""What names a device: its sort, and perhaps its number."""


class Accelerator(NamedTuple):
    """What JAX computes on: a device, by default the first that JAX finds, or several that share the rows of the data.

    With a ``cluster`` they are all devices of all its processes. ``heard`` is told what was compiled to answer a question,
    and the seconds that it ran.
    """

    device: str | None = None
    devices: int = 1
    cluster: Cluster | None = None
    heard: Callable[[Figures, float], None] | None = None

    @property
    def backend(self) -> str:
        return "jax"

    def found(self) -> list[Any]:
        """The devices. Raises GradcliError where JAX or a device is missing."""
        jax = imported()
        kind, _, rest = (self.device or "").partition(":")
        number = int(rest or 0)
        try:
            if self.cluster is not None:
                return _all_devices(kind)
            some = jax.local_devices(backend=kind or None)
        except RuntimeError:
            there = ", ".join(sorted({d.platform for d in jax.devices()}))
            raise GradcliError(
                "ValueError",
                f"JAX finds no {kind} here, only {there}",
                help="accelerators need JAX for them: https://docs.jax.dev/en/latest/installation.html",
            ) from None
        if len(some) < number + self.devices:
            word = f"{some[0].platform} device{'s' * (len(some) > 1)}"
            asked = f"{self.devices} from number {number} on" if number else str(self.devices)
            advice = "on a CPU, `XLA_FLAGS=--xla_force_host_platform_device_count=N` makes N of it"
            raise GradcliError(
                "ValueError",
                f"JAX finds {len(some)} {word} here, not {asked}",
                help=advice if some[0].platform == "cpu" else None,
            )
        return list(some[number : number + self.devices])


def _all_devices(kind: str | None) -> list[Any]:
    """The devices of all processes of a cluster, one process after the other. Raises GradcliError where one has more."""
    found = sorted(imported().devices(kind or None), key=lambda device: (device.process_index, device.id))
    counts = Counter([device.process_index for device in found])
    if len({*counts.values()}) > 1:
        shown = ", ".join([f"{count} in process {index}" for index, count in sorted(counts.items())][:8])
        raise GradcliError("ValueError", f"the processes of a cluster have as many devices each, not {shown}")
    return found


@cache
def imported() -> Any:
    """JAX, with settings that its user has not made. Raises GradcliError where it is not installed."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    # XLA's threads for a CPU wait for one another in batched linear algebra where there are few.
    os.environ.setdefault("NPROC", str(max(8, os.cpu_count() or 1)))
    try:
        import jax
    except ImportError:
        raise GradcliError(
            "ValueError", "`--backend jax` needs JAX, which is not installed: pip install 'gradcli[jax]'"
        ) from None
    if jax.config.jax_compilation_cache_dir is None:
        folder = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "gradcli", "jax")
        with suppress(OSError):  # without a place for it there is no cache
            os.makedirs(folder, exist_ok=True)
            if os.access(folder, os.W_OK):
                jax.config.update("jax_compilation_cache_dir", folder)
                jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    return jax


def exporter() -> Any:
    """``jax.export``, which is not part of JAX before it is imported. Raises GradcliError where JAX is not installed."""
    imported()
    from jax import export

    return export


def join(address: str | None, count: int | None, index: int | None, patience: int, silent: int) -> None:
    """Make this process one of several, as :func:`jax.distributed.initialize` does, which finds out what is None.

    ``patience`` is for how many seconds it waits for the others, ``silent`` after how many without a word one is lost.
    """
    jax = imported()
    if jax.config.jax_cpu_collectives_implementation is None:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    alone = {"cluster_detection_method": "deactivate"} if address is not None else {}
    jax.distributed.initialize(
        address, count, index, initialization_timeout=patience, heartbeat_timeout_seconds=silent, **alone
    )


def leave() -> None:
    """Leave the others once all of them come to this."""
    imported().distributed.shutdown()


def gathered(own: Any) -> Any:
    """An array of each process, all of one shape, as NumPy's: [processes, ...]."""
    from jax.experimental import multihost_utils

    with precise():
        return multihost_utils.process_allgather(own)


@contextmanager
def precise() -> Iterator[Any]:
    """JAX, with 64 bits and with products of matrices in the precision of their entries, whatever its user has set."""
    jax = imported()
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        yield jax

"""The same libraries without AVX-512: what tells each of them, if it is set before they are imported."""

from __future__ import annotations

FEATURES = "NPY_DISABLE_CPU_FEATURES"

OTHERS = {
    "OPENBLAS_CORETYPE": "Haswell",
    "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
}
"""NumPy's BLAS, JAX, TensorFlow and PyTorch."""


def without_avx512() -> dict[str, str]:
    """The variables; NumPy's names of what this machine has differ between its releases. Empty where there is none."""
    # The names are public only in the text of numpy.show_config().
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    names = [name for name in __cpu_dispatch__ if name == "X86_V4" or name.startswith("AVX512")]
    present = [name for name in names if __cpu_features__[name]]
    return {FEATURES: " ".join(present), **OTHERS} if present else {}

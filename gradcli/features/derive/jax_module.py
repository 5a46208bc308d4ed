"""Derivatives as a JAX module: one function of arrays that can be compiled, batched and differentiated further."""

from __future__ import annotations

from gradcli.features.derive import numpy_module
from gradcli.features.derive.answer import Derived
from gradcli.features.derive.module_loops import as_scan
from gradcli.graph.ops.words.jax_modules import WORDS

JAX = numpy_module.Library("JAX", WORDS, as_scan, "jnp", "")


def render(derived: Derived) -> str:
    """A module with the function ``gradient``. Raises :class:`UnwrittenError` for an operation that JAX has no words for."""
    return numpy_module.render(derived, JAX)

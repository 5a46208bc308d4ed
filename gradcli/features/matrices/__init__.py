"""``jacobian``, ``hessian`` and ``jvp``: Jacobians, Hessians and directional derivatives."""

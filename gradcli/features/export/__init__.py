"""``gradcli export``: a program and its gradients as a function for other processes, which need JAX only."""

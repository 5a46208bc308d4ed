"""``examples``: the samples that are installed with gradcli."""

"""``propagate``: the uncertainty of results from those of what they are computed from."""

"""``--profile``: what a run spends."""

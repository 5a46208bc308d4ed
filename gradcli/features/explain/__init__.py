"""``explain``: how y depends on each x."""

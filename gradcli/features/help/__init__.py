"""``help``: the manual."""

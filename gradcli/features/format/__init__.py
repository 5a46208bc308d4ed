"""``format``: programs in one style."""

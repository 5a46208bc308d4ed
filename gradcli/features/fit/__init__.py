"""``fit``: values that make a scalar small."""

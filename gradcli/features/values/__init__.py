"""``eval``: values."""

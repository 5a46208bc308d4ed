"""``ops``: the operations."""

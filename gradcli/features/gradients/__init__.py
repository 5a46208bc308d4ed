"""``grad``: gradients."""

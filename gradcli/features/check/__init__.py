"""``check``: gradients compared with other methods."""

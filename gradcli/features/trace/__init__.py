"""``--trace`` and ``--kinks``: where NaN and infinity come from."""

"""``derive``: derivatives as formulas."""

"""``plot``: curves, contours and data."""

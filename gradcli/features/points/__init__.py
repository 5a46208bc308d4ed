"""``--points``: a question at many points."""

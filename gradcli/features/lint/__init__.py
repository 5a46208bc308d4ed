"""``lint``: likely mistakes and better spellings."""

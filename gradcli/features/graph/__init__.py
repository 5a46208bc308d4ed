"""``graph``: drawings of a program."""

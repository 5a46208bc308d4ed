"""``server``: a program in an editor, by the Language Server Protocol."""

"""``repl``: a program that is typed statement by statement, and questions about it."""

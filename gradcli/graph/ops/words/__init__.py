"""How operations are written elsewhere: one module a language, imported when it is first written in."""

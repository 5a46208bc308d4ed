"""An elaborated program, and the answers to what can be asked of it."""

"""One folder for each command: what it answers, how that looks, and its click command."""

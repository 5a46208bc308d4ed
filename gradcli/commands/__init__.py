"""The command line, the only place that prints or exits: one file for each command."""

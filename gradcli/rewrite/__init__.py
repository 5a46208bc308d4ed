"""Simplification of graphs that are about to be run: rules as data, none of which changes a value, shape or dtype."""

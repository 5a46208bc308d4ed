"""Simplification of graphs that are about to be run: rules as data; no rule changes a value, shape or dtype."""

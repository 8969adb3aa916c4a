"""Compute the rows of one cell: one scenario, target, load and set of parameters."""

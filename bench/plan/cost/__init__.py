"""Compute what a run may cost, and the limits that the user set."""

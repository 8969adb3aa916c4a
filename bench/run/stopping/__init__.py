"""Decide when a run has measured enough."""

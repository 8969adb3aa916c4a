"""Intervals and tests on arrays: docs/statistics.md in code."""

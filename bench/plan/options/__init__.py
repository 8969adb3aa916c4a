"""Declare options: one declaration for the command line, bench.toml, plan.json, workers and documentation."""

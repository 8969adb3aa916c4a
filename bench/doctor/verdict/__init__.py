"""Decide what the recorded answers show; pure functions."""

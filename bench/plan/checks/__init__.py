"""Check before a run that this machine can carry its load."""

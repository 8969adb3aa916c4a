"""`bench calibrate`: how precisely this machine measures."""

"""Check the instrument itself: A/A pairs, drift, the floor, the machine's lateness."""

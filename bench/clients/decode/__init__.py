"""Read streams: bytes with their times become events."""

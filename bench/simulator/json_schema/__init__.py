"""Make values that a JSON Schema accepts."""

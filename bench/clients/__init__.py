"""clients/__init__.py."""

"""run/memory/__init__.py."""

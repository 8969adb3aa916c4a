"""Prompts from files, and made-up ones of given lengths."""

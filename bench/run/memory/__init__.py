"""Measure memory in processes of their own."""

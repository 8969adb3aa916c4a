"""Measure the OpenAI SDK at its transport."""

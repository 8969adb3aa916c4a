"""Keep responses that were stored or run in the background."""

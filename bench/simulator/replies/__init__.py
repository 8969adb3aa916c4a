"""Write answers in the words of an API."""

"""Read requests in the words of an API."""

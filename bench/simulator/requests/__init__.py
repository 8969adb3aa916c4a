"""Parse and check the requests of both APIs."""

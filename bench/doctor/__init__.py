"""Find out whether an endpoint really streams, and what delays it."""

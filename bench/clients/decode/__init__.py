"""bench/clients/decode."""

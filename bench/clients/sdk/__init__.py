"""bench/clients/sdk."""

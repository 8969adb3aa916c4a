"""Offer a scenario the SDK's `create` over stamped connections, here or in the load generator."""

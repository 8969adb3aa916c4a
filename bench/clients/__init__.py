"""Send requests and stamp what comes back: through the SDK, or from a load generator process."""

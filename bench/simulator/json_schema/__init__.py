"""bench/simulator/json_schema."""

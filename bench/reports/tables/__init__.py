"""bench/reports/tables."""

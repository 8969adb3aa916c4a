"""bench/reports/terminal."""

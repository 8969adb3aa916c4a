"""bench/doctor/probe."""

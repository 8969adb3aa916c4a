"""bench/doctor/verdict."""

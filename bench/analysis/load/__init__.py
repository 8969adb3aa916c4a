"""Find the steady part of a load run, its rows, and its knee."""

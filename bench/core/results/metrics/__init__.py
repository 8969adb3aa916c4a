"""Define each metric: a file says what it is, how its rows are made, and where reports show it."""

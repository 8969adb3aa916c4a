"""The gate: conditions on a result, decided on the bounds of intervals, told to people, CI and exit codes."""

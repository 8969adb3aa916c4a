"""Write the report for a terminal."""

"""Write the HTML page."""

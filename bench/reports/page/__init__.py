"""Make the parts of the HTML report."""

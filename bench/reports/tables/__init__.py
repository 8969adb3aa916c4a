"""Make the tables that several reports share."""

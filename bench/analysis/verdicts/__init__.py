"""Say in one sentence what a cell and a run show, and how far to trust them."""

"""Ask each endpoint once before the run."""

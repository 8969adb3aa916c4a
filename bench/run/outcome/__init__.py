"""Judge what became of a trial."""

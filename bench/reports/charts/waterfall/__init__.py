"""Show how one real trial went: what its time went into, and what had come by when."""

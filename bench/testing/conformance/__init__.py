"""`bench conformance`: read streams whose truth is known."""

"""Choose what the charts of a report are drawn from; pure functions on the loaded tables."""

"""What a run has to say, as plain values: Summary, Comparison, and the metrics that they are made of."""

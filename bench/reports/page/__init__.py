"""The parts of `report.html`, as plain values for its templates: what they say is decided here, how it looks there."""

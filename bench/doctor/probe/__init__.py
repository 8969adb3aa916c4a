"""Ask an endpoint and record what comes."""

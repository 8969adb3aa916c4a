"""Draw the charts of `report.html` and `compare.html`: Vega-Lite with Altair, each also in words and as a table."""

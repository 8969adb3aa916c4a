"""What the pictures of a report are drawn from: of the loaded frames, once for the whole run."""

from bench.analysis.chart_data.cells import figures
from bench.analysis.chart_data.outliers import outliers

__all__ = ["figures", "outliers"]

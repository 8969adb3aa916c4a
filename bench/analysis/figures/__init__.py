"""What the pictures of a report are drawn from: of the loaded frames, once for the whole run."""

from bench.analysis.figures.cells import figures
from bench.analysis.figures.fences import outliers

__all__ = ["figures", "outliers"]

"""Write the files of a comparison."""

from __future__ import annotations

from pathlib import Path

from bench.core.comparison import Comparison
from bench.records.write import write_whole
from bench.reports.comparison.json import render_json
from bench.reports.comparison.markdown import render_markdown
from bench.reports.page.compare import render_html

PAGE = "compare.html"


def write_comparison(folder: Path, comparison: Comparison) -> list[Path]:
    """`compare.html`, `compare.md` and `compare.json` in the folder of the current run. OSError where it is locked."""
    texts = {
        PAGE: render_html(comparison).encode(),
        "compare.md": render_markdown(comparison).encode(),
        "compare.json": render_json(comparison),
    }
    files = {folder / name: text for name, text in texts.items()}
    write_whole(files)
    return list(files)

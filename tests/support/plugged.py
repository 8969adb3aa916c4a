"""A pytest session of a user who has streambench installed: a process of its own, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

from bench import __version__
from tests.support.paths import ROOT

BESIDE = ROOT / "bench" / "beside"
"""On the path of an editable installation too."""


def installed(folder: Path) -> str:
    """A PYTHONPATH on which the distribution stands with this checkout's entry points, wherever the tests run."""
    info = folder / f"streambench-{__version__}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: streambench\nVersion: {__version__}\n")
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    lines = [f"[{group}]\n" + "".join(f"{name} = {at}\n" for name, at in of.items()) for group, of in groups.items()]
    (info / "entry_points.txt").write_text("\n".join(lines))
    files = [str(file.relative_to(ROOT)) for file in (ROOT / "bench").rglob("*.py")]
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    return os.pathsep.join([str(folder), str(ROOT), str(BESIDE)])


def session(
    folder: Path, *arguments: str, ini: str = "", autoload: bool = False, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder, every warning an error; with no other plugin than ours, or with all by `autoload`."""
    path = (
        installed(folder / "site")
        if not (folder / "site").exists()
        else os.pathsep.join(map(str, (folder / "site", ROOT, BESIDE)))
    )
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n" + ini)
    alone = {} if autoload else {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *([] if autoload else ["-p", "streambench"]), *arguments],
        cwd=folder,
        env={**clean, "PYTHONPATH": path, **alone, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )

"""What a manifest discloses of machine, kernel, project and the way to a target: what is named, and nothing else."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from pathlib import Path

import pytest
import trustme

from bench.analysis.build import build
from bench.core import linux as kernel
from bench.core.target import Target
from bench.run import environment
from bench.run.preflight.preflight import preflight
from tests.support import synthetic
from tests.support.scripted import Script, json_response, scripted

SECRET = "planted-5c1d-secret"


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_limits_of_either_version_of_cgroups(tmp_path: Path) -> None:
    """The tightest limit counts, of this process's group or of one around it, whichever version says so."""
    new = {
        "proc/self/cgroup": "0::/outer/inner\n",
        "sys/fs/cgroup/outer/inner/cpu.max": "max 100000\n",
        "sys/fs/cgroup/outer/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/outer/inner/memory.max": f"{2**31}\n",
        "sys/fs/cgroup/outer/memory.max": "max\n",
    }
    old = {
        "proc/self/cgroup": "5:cpu,cpuacct:/\n4:memory:/mine\n1:name=systemd:/\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/mine/memory.limit_in_bytes": f"{2**30}\n",
    }
    assert kernel.limits(tree(tmp_path / "new", new)) == {"cpus": 1.5, "memory_gib": 2.0}
    assert kernel.limits(tree(tmp_path / "old", old)) == {"cpus": 0.5, "memory_gib": 1.0}
    assert kernel.limits(tmp_path / "none") == {}


def test_speed_and_pressure(tmp_path: Path) -> None:
    """Governor, turbo (whichever driver says it) and pressure are read where they are, and else unknown."""
    cpu = "sys/devices/system/cpu"
    files = {
        f"{cpu}/cpu0/cpufreq/scaling_governor": "powersave\n",
        f"{cpu}/cpufreq/boost": "1\n",
        "proc/pressure/cpu": "some avg10=12.50 avg60=1.00 avg300=0.00 total=1\nfull avg10=0.00 total=0\n",
    }
    root = tree(tmp_path / "full", files)
    assert (kernel.governor(root), kernel.turbo(root), kernel.pressure(root)) == ("powersave", True, {"cpu": 12.5})
    assert kernel.turbo(tree(tmp_path / "intel", {f"{cpu}/intel_pstate/no_turbo": "1\n"})) is False
    none = tmp_path / "none"
    assert (kernel.governor(none), kernel.turbo(none), kernel.pressure(none)) == (None, None, {})


def test_the_clock_is_measured() -> None:
    """The clock moves, in steps far below the times that are measured with it."""
    assert 0 < environment.clock_step() < 100_000


def git(folder: Path, *asked: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *asked], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_project_is_its_commit(tmp_path: Path) -> None:
    """A repository is disclosed by commit and by whether tracked files differ; another folder not at all."""
    unknown = {"project_commit": None, "project_dirty": None}
    assert environment.project(tmp_path) == unknown
    git(tmp_path, "init", "-q")
    assert environment.project(tmp_path) == unknown, "no commit yet"
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "first")
    (tmp_path / "untracked").write_text("x")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert environment.project(tmp_path) == {"project_commit": head, "project_dirty": False}
    (tmp_path / "a").write_text("2")
    assert environment.project(tmp_path) == {"project_commit": head, "project_dirty": True}


def test_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where git is not installed nothing is said, and nothing fails."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.project(Path(__file__).parent) == {"project_commit": None, "project_dirty": None}


def test_variables_are_named_never_read_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the environment it is only said which proxy variables are set, whatever case they are written in."""
    monkeypatch.setenv("https_proxy", f"http://me:{SECRET}@proxy.invalid:1")
    monkeypatch.setenv("NO_PROXY", f"{SECRET}.invalid")
    monkeypatch.setenv("SOME_TOKEN", SECRET)
    found = environment.machine()
    assert found["proxy_variables"] == ["HTTPS_PROXY", "NO_PROXY"]
    assert SECRET not in json.dumps([found, environment.versions()])


def answered(headers: dict[str, str]) -> dict[str, Script]:
    models = {"object": "list", "data": [{"id": "m"}]}
    body = {"choices": [], "model": "m", "system_fingerprint": "fp_1"}
    return {
        "/v1/models": json_response(models, headers=headers),
        "/v1/chat/completions": json_response(body, headers=headers),
    }


def test_the_way_to_a_target() -> None:
    """HTTP version, address family, connect time and what the server says by allow-list, a secret in it hidden."""
    headers = {"server": "scripted/1", "via": f"1.1 {SECRET}", "x-other": "unlisted", "openai-organization": "acme"}
    with scripted(routes=answered(headers)) as server:
        target = Target(name="mine", base_url=server.base_url)
        wire = dict(asyncio.run(preflight(target, ["m"], {"chat"}, key=SECRET, headers={})).wire)
    assert 0 < wire.pop("tcp_connect_ms") < 2000
    assert wire == {
        "http": "HTTP/1.1",
        "ip": "IPv4",
        "proxied": False,
        "header server": "scripted/1",
        "header via": "1.1 ***",
        "system_fingerprint": "fp_1",
    }


def test_the_way_to_a_target_under_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Version and cipher of TLS are disclosed, and how long the host's name took to be looked up."""
    authority, cert, tls = trustme.CA(), tmp_path / "cert.pem", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.cert_pem.write_to_path(str(cert))
    authority.issue_cert("localhost").configure_cert(tls)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    with scripted(routes=answered({}), tls=tls) as server:
        target = Target(name="mine", base_url=f"https://localhost:{server.port}/v1")
        wire = asyncio.run(preflight(target, ["m"], {"chat"}, key="k", headers={})).wire
    assert str(wire["tls"]).startswith("TLSv1.")
    assert wire["cipher"]
    assert wire["dns_ms"] > 0


def test_nested_facts_are_flat_in_a_report(tmp_path: Path) -> None:
    """The report has a line for each fact, those of a target under its name; what is unknown is left out."""
    manifest = {
        "environment": {"limits": {"cpus": 1.5}, "cpu_turbo": None, "gil": True},
        "targets": {"lab": {"tls": "TLSv1.3", "tcp_connect_ms": 0.2}},
    }
    shown = build(synthetic.make_run(tmp_path / "r", pairs=6, manifest={**manifest, "versions": {}})).environment
    assert shown == {
        "gil": "true",
        "limits: cpus": "1.5",
        "target lab: tcp_connect_ms": "0.2",
        "target lab: tls": "TLSv1.3",
    }

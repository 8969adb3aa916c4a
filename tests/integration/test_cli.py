"""`bench` as a user meets it: what works, and every mistake as one line with exit 2 and nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support import events as e
from tests.support.cli import bench, environment, invoke, only_run
from tests.support.scripted import Request, Script, json_response, response, scripted, sse

MODELS = json_response({"object": "list", "data": [{"id": "m1"}]})
PLUGIN = """
from bench import Scenario, hookimpl

async def streamed(client, ask):
    yield "a"
    {body}

@hookimpl
def register_scenarios():
    yield Scenario("mine", streamed)
"""


def mistake(cwd: Path, *arguments: str | Path, env: dict[str, str] | None = None, stdin: str = "") -> str:
    """Run a command that must fail as a usage error; its one line on stderr."""
    done = invoke(*arguments, cwd=cwd, env=env, stdin=stdin)
    lines = [line for line in done.stderr.splitlines() if line]
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert not any(path.name == "reports" for path in cwd.iterdir()), "something was written"
    assert "Traceback" not in done.stderr
    return lines[-1]


def test_help_teaches(tmp_path: Path) -> None:
    """Every command explains itself, and `bench run` shows examples."""
    assert "Start with `bench run`" in bench("--help", cwd=tmp_path).stdout
    text = invoke("run", "--help", cwd=tmp_path).stdout
    assert "bench run ./rag.py" in text
    assert "--base-url" in text


def test_list(tmp_path: Path) -> None:
    """Scenarios, targets and reporters are listed with the plugin each comes from; BENCH_PLUGINS_DIR adds some."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "mine.py").write_text('"""My own work."""\n' + PLUGIN.format(body=""))
    (tmp_path / "bench.toml").write_text('[targets.lab]\nbase_url = "http://lab.example/v1"\n')
    done = bench("list", cwd=tmp_path, env={"BENCH_PLUGINS_DIR": "more"})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    rows = {line.split()[0]: f"{line} {more}" for line, more in pairwise([*lines, ""]) if line.startswith("  ")}
    assert "built in (text.py)" in rows["text"]
    assert "My own work." in rows["mine"]
    assert "more/mine.py" in rows["mine"]
    assert "bench.toml" in rows["lab"]
    assert "report.html" in rows["html"]


def test_dry_run_sends_nothing(tmp_path: Path) -> None:
    """The plan and the estimate are printed, no request is made, nothing is written; the seed decides the plan."""
    with scripted(MODELS) as server:
        arguments = ["run", "--base-url", server.base_url, "--model", "m1", "--dry-run", "--seed", "5"]
        first, second = (invoke(*arguments, cwd=tmp_path) for _ in range(2))
        assert server.requests == []
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    assert "m1 at 127.0.0.1" in first.stdout
    assert "340 trials (216 measured, 24 warm-up, 36 A/A, 64 calibration)" in first.stdout
    assert "nothing was sent" in first.stdout
    assert list(tmp_path.iterdir()) == []


MISTAKES = [
    (["run", "txt"], "unknown scenario 'txt': did you mean 'text'"),
    (["run", "--target", "opnai"], "unknown target 'opnai': did you mean 'openai'"),
    (["rnu"], "unknown command 'rnu': did you mean 'run'"),
    (["run", "--pears", "3"], "No such option '--pears'"),
    (["run", "--delivery", "streemed"], "unknown value 'streemed': did you mean 'streamed'?"),
    (["run", "--pairs", "0"], "0 is not in the range"),
    (["run", "--profile", "quik"], "unknown simulator profile 'quik' (did you mean 'quick'?)"),
    (["run", "--model", "gpt"], "add `--target openai` or `--base-url URL`"),
    (["run", "--base-url", "lab:8000"], "not a base URL"),
    (["run", "--target", "openai", "--model", "x", "--yes"], "OPENAI_API_KEY is not set"),
    (["run", "--target", "openai", "--model", "x"], "add --yes"),
    (["run", "-H", "nonsense"], "expected 'Name: value'"),
    (["run", "--extra-body", "{oops"], "--extra-body:1:2: not valid JSON"),
    (["run", "nowhere.py"], "nowhere.py: no such file"),
    (["run", "./"], "is a folder; load its files with --plugins-dir"),
    (["run", "broken"], "unknown scenario 'broken'"),
    (["run", "broken"], "a file is named as ./broken.py"),
    (["run", "--prompts", "nowhere.jsonl"], "nowhere.jsonl: cannot be read"),
    (["run", "--prompts", "bad.jsonl"], "bad.jsonl:2:"),
    (["run", "--prompt", "a", "--prompts", "bad.jsonl"], "give one of them"),
    (["run", "--out", "bad.jsonl"], "--out bad.jsonl: cannot be written"),
    (["run", "--config", "bad.toml"], "bad.toml:2:1: not valid TOML"),
    (["run", "--plugin", "broken.py"], "broken.py fails to import"),
    (["report"], "no run in it"),
    (["report", "."], "no run in it"),
]
"""What is typed, and a part of what is said."""


@pytest.mark.parametrize(("arguments", "says"), MISTAKES, ids=[" ".join(arguments) for arguments, _ in MISTAKES])
def test_mistakes(tmp_path: Path, arguments: list[str], says: str) -> None:
    """A mistake is one line that says what to do, exit code 2, and nothing is written."""
    (tmp_path / "bad.jsonl").write_text('{"prompt": "a"}\n{"promt": "b"}\n')
    (tmp_path / "bad.toml").write_text("targets = [\n")
    (tmp_path / "broken.py").write_text("import nothing_there\n")
    assert says in mistake(tmp_path, *arguments)


@pytest.mark.slow
def test_endpoints_that_will_not_do(tmp_path: Path) -> None:
    """No server, a web page, an unknown model, a missing /v1 and a refused key each say what to do."""
    page = response(b"<html>", 200, {"content-type": "text/html"})
    refused = json_response({"error": {"message": "bad key"}}, 401)
    unknown = json_response({"error": {"message": "model m2 not found", "code": "model_not_found"}}, 404)
    with scripted() as server:
        gone = server.base_url
    assert "no server at 127.0.0.1" in mistake(tmp_path, "run", "--base-url", gone, "--model", "m")
    with scripted(page) as server:
        assert "web page" in mistake(tmp_path, "run", "--base-url", server.base_url, "--model", "m")
    with scripted(refused) as server:
        assert "key" in mistake(tmp_path, "run", "--base-url", server.base_url, "--model", "m")
    with scripted(routes={"/v1/models": MODELS, "/v1/responses": unknown}) as server:
        line = mistake(tmp_path, "run", "--base-url", server.base_url, "--model", "m2")
        assert "m1" in line
    with scripted(routes={"/v1/models": MODELS}) as server:
        line = mistake(tmp_path, "run", "--base-url", server.url, "--model", "m1")
        assert f"/v1 is missing at the end of the base URL; use {server.base_url}" in line
        done = bench("run", "--base-url", server.base_url, "--model", "m1", "--yes", cwd=tmp_path)
        assert (done.returncode, list(tmp_path.iterdir())) == (3, [])
        assert "no Responses API there: try --api chat" in done.stderr.splitlines()[-1]


def test_a_plugin_that_fails_ends_the_run_at_once(tmp_path: Path) -> None:
    """A scenario that raises in warm-up is one line with file and line number, exit 2."""
    (tmp_path / "mine.py").write_text(PLUGIN.format(body="ask.request['nothing']"))
    done = invoke("run", "./mine.py", "--no-memory", "--profile", "flood", cwd=tmp_path)
    assert done.returncode == 2
    assert "scenario 'mine' failed in warm-up (streamed): KeyError: 'nothing'" in done.stderr.splitlines()[-1]
    assert "mine.py:6" in done.stderr.splitlines()[-1]
    assert list((tmp_path / "reports").iterdir()) == [], "nothing half-written"


@pytest.mark.slow
def test_a_server_that_answers_nonsense(tmp_path: Path) -> None:
    """Nonsense gives failed trials with class and message, a report that shows them, and exit 4."""
    with scripted(
        routes={"/v1/models": MODELS, "/v1/responses": response(b"<html>hi", 200, {"content-type": "text/html"})}
    ) as server:
        done = bench(
            "run", "text", "--base-url", server.base_url, "--pairs", "3", "--no-memory", "--seed", "1", cwd=tmp_path
        )
    report = (only_run(tmp_path) / "report.md").read_text()
    assert done.returncode == 4, done.stderr
    assert "no trial was ok (3 malformed, 3 no_terminal_event)" in done.stderr
    assert "asked for an event stream, got text/html" in report
    assert "n/a" in done.stdout


@pytest.mark.paced
@pytest.mark.slow
def test_an_endpoint_that_is_not_the_simulator(tmp_path: Path) -> None:
    """Any endpoint is measured as real: host and model in the first line, own prompts, headers and extra body sent."""

    def answer(request: Request) -> Script:
        if request.json.get("stream"):
            return sse(e.CREATED, 0.05, e.delta("Hel"), 0.01, e.delta("lo"), e.COMPLETED)
        return [0.06, *json_response(e.response(output=[e.message("Hello")], usage=e.USAGE))]

    (tmp_path / "asks.csv").write_text("id,prompt,output_tokens\nq1,Why?,9\n")
    with scripted(routes={"/v1/models": MODELS, "/v1/responses": answer}) as server:
        done = bench(
            *["run", "text", "--base-url", server.base_url, "--pairs", "6", "--warmup", "1", "--no-memory"],
            *["--prompts", "asks.csv", "-H", "X-Team: ${TEAM}", "--extra-body", '{"top_p": 0.5}', "--name", "first"],
            cwd=tmp_path,
            env={"TEAM": "blue"},
        )
    assert done.returncode == 0, done.stderr
    run, last = only_run(tmp_path), server.requests[-1]
    assert "m1 at 127.0.0.1" in done.stderr
    assert "SIMULATED" not in done.stdout
    assert last.headers["x-team"] == "blue"
    assert (last.json["top_p"], last.json["max_output_tokens"], last.json["temperature"]) == (0.5, 9, 0)
    assert last.json["input"][0]["content"].endswith("] Why?")
    assert "metadata" not in last.json
    assert {path.name for path in run.iterdir()} >= {
        "report.html",
        "report.md",
        "summary.csv",
        "summary.json",
        "trials.parquet",
    }
    again = invoke("report", "first", cwd=tmp_path)
    assert again.stdout == done.stdout


def test_no_secret_reaches_a_file(tmp_path: Path) -> None:
    """Planted in variables, headers (they come back in errors and headers), URLs and the command line: in no file."""
    key, header, other = "planted-key-8d1f", "planted-header-77aa", "planted-elsewhere-3e9c"

    def leaky(request: Request) -> Script:
        said = f"you sent {request.headers['authorization']} and {request.headers['x-secret']}"
        return json_response({"error": {"message": said}}, 500, {"x-should-retry": "false", "x-request-id": key})

    def first_well(request: Request) -> Script:
        preflight = request.json.get("input") == "ping"
        return json_response(e.response(output=[]), headers={"via": header}) if preflight else leaky(request)

    with scripted(routes={"/v1/models": MODELS, "/v1/responses": first_well}) as server:
        done = bench(
            *["run", "text", "--base-url", server.base_url, "--pairs", "2", "--no-memory", "--store-text"],
            *["--api-key-env", "MY_KEY", "-H", f"X-Secret: {header}"],
            *["--prompt", f"Read https://me:{other}@host.example/x?token={other}"],
            cwd=tmp_path,
            env={"MY_KEY": key, "SOME_TOKEN": other, "HTTPS_PROXY": f"http://me:{other}@127.0.0.1:9"},
        )
    assert done.returncode == 4, done.stderr
    assert server.requests[-1].headers["authorization"] == f"Bearer {key}"
    for path in only_run(tmp_path).rglob("*"):
        content = path.read_bytes()
        assert key.encode() not in content, path.name
        assert header.encode() not in content, path.name
        assert other.encode() not in content, path.name
    assert not [secret for secret in (key, header, other) if secret in done.stdout + done.stderr]
    assert '"HTTPS_PROXY"' in (only_run(tmp_path) / "manifest.json").read_text()


def test_notices_of_never_by_accident(tmp_path: Path) -> None:
    """On the simulator a set key is said to be unused."""
    done = invoke("run", "--dry-run", cwd=tmp_path, env={"OPENAI_API_KEY": "sk-test-1234567890"})
    assert "OPENAI_API_KEY not used: this run is on the simulator" in done.stderr
    assert "SIMULATED" in done.stdout


def test_a_run_folder_that_is_damaged(tmp_path: Path) -> None:
    """A damaged folder, or one of another schema, is one line."""
    run = tmp_path / "reports" / "r1"
    run.mkdir(parents=True)
    (run / "manifest.json").write_text(json.dumps({"schema_version": "9.0", "run_id": "r1", "created": "x"}))
    done = invoke("report", "r1", cwd=tmp_path)
    assert (done.returncode, "schema version 9.0" in done.stderr) == (2, True)
    (run / "manifest.json").write_text("{")
    done = invoke("report", str(run), cwd=tmp_path)
    assert (done.returncode, "manifest.json: cannot be read" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--prompt", ""], "--prompt is empty"),
        (["--prompt", " \n"], "--prompt is empty"),
        (["--prompts", ""], "--prompts is empty"),
        (["--name", "latest"], "--name 'latest': `bench report` could not find it"),
        (["--name", "latest~1"], "--name 'latest~1'"),
        (["--name", "a/b"], "--name 'a/b'"),
        (["--name=-x"], "--name '-x'"),
        (["--name", ""], "--name ''"),
        (["--deadline", "nan"], "nan is not a length of time"),
        (["--deadline", "inf"], "inf is not a length of time"),
        (["--delivery", "x"], "unknown value 'x': known: blocking, both, streamed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_values_that_mean_nothing(tmp_path: Path, arguments: list[str], says: str) -> None:
    """A value that could not be asked, found again or waited for is refused before anything happens."""
    assert says in mistake(tmp_path, "run", "--dry-run", *arguments)


def test_a_default_out_of_bounds(tmp_path: Path) -> None:
    """A [run] value that its option would refuse ends the command with the file and the option."""
    (tmp_path / "bench.toml").write_text("[run]\nmax-retries = -1\n")
    line = mistake(tmp_path, "run", "text", "--dry-run")
    assert line.endswith("bench.toml: [run]: max-retries: -1 is not in the range x>=0.")


def test_a_name_that_only_resembles_latest(tmp_path: Path) -> None:
    """Names that `bench report` can find are taken, also when they begin like one that is not."""
    assert invoke("run", "--dry-run", "--name", "latest-2 of mine", cwd=tmp_path).returncode == 0


@pytest.mark.paced
@pytest.mark.slow
def test_the_simulator_is_measured_behind_a_proxy(tmp_path: Path) -> None:
    """A proxy that leads nowhere does not touch a run on the simulator; a header behind -yH is in no file."""
    done = bench(
        *["run", "text", "--pairs", "1", "--warmup", "0", "--no-memory", "--profile", "flood"],
        *["-yH", "X-Team-Secret: hunter2222"],
        cwd=tmp_path,
        env={"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"},
    )
    assert done.returncode == 0, done.stderr
    assert not [path for path in only_run(tmp_path).iterdir() if b"hunter2222" in path.read_bytes()]


def test_a_fault_of_bench_is_no_failed_condition(tmp_path: Path) -> None:
    """What nobody foresaw ends with the traceback, a line that asks for a report, and an exit code of its own."""
    program = "import bench.cli.main as c; c.cli = lambda prog_name: 1 // 0; c.main()"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 70
    assert "ZeroDivisionError" in done.stderr
    assert "fault of bench itself" in done.stderr

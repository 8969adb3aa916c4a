"""`bench doctor` as a command: what it refuses, whom it asks first, what it keeps to itself, and what it writes."""

from __future__ import annotations

import json
import shlex
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark import ParameterSet

from bench.simulator.process import Simulator, running
from tests.support.cli import bench, invoke, started
from tests.support.parts.redelivery import redelivered
from tests.support.parts.ways import WAYS
from tests.support.scripted import Answer, Request, Script, json_response, response, scripted, sse

pytestmark = pytest.mark.paced

SECRET = "sk-planted-0123456789"
SHORT = ("--api", "responses", "--mode", "text", "--output-tokens", "64", "--model", "sim-1")
PAGE = response(b"<!DOCTYPE html><html><title>Welcome</title></html>", headers={"content-type": "text/html"})
LISTING = json_response({"object": "list", "data": [{"id": "small"}]})
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """One for all."""
    with running() as one:
        yield one


@pytest.fixture(scope="module")
def plain(simulator: Simulator) -> Iterator[str]:
    """A server that streams."""
    with redelivered(simulator.base_url, WAYS["plain"]) as base_url:
        yield base_url


def refused(folder: Path, *options: str, env: Mapping[str, str] | None = None) -> str:
    """What is said on stderr, without the estimate, where nothing is examined: one error, and nothing on stdout."""
    done = invoke("doctor", *options, cwd=folder, env=env)
    assert done.returncode == 2, done.stderr
    assert not done.stdout
    assert "Traceback" not in done.stderr
    return "\n".join(line for line in done.stderr.splitlines() if not line.startswith("about "))


def test_no_endpoint(tmp_path: Path) -> None:
    """The message has two examples to copy."""
    said = refused(tmp_path)
    assert said.startswith("bench: which endpoint?")
    assert said.count("\n  bench doctor --") == 2


def quick(names: Iterable[str], *quick: str) -> list[ParameterSet]:
    """All; only some in the default run."""
    return [pytest.param(name, marks=() if name in quick else SLOW) for name in names]


MISUSED: Mapping[str, tuple[list[str], str]] = {
    "two kinds": (
        ["--base-url", "http://127.0.0.1:1/v1", "--sim-behind", "http://127.0.0.1:2/v1"],
        "--target, --base-url and --sim-behind: use one of them",
    ),
    "twice": (["--base-url", "http://127.0.0.1:1/v1"] * 2, "http://127.0.0.1:1/v1 is given twice"),
    "unknown mode": (["--target", "sim", "--mode", "texts"], "text"),
    "unknown target": (["--target", "simm"], "sim"),
    "too short": (["--target", "sim", "--output-tokens", "8"], "x>=64"),
    "models": (["--base-url", "http://127.0.0.1:1/v1", "--model", "a", "--model", "b"], "--model: give it once"),
    "no simulator": (
        ["--sim-behind", "http://127.0.0.1:1/v1", "--sim", "http://127.0.0.1:1/v1", "--model", "sim-1"],
        "http://127.0.0.1:1/v1",
    ),
}
"""What does not fit together, and what the message has to name. Nobody listens on ports 1 and 2."""


@pytest.mark.parametrize("name", quick(MISUSED, "two kinds"))
def test_misused(tmp_path: Path, name: str) -> None:
    """Exit 2 and a message that says what is wrong."""
    options, words = MISUSED[name]
    assert words in refused(tmp_path, *options)


def refuses(status: int, message: str) -> Script:
    """An error of an API."""
    return json_response({"error": {"message": message, "type": "invalid_request_error"}}, status=status)


NO_KEY = refuses(401, f"Incorrect API key provided: {SECRET}.")
NO_MODEL = json_response({"error": {"message": "The model 'x' does not exist", "code": "model_not_found"}}, status=404)
OTHERS: Mapping[str, tuple[list[Answer], str, str]] = {
    "wrong key": ([NO_KEY], "small", "refuses the key in MY_KEY"),
    "unknown model": ([LISTING, NO_MODEL], "smal", "small"),
    "web page": ([PAGE], "small", "answers with a web page, not an API"),
    "no API": ([LISTING, refuses(404, "Not Found")], "small", "nothing to examine"),
}
"""Its answers, one after the other, the model that is asked for, and what is said."""


@pytest.mark.parametrize("name", quick(OTHERS, "wrong key"))
def test_no_use(tmp_path: Path, name: str) -> None:
    """A server that refuses all there is to ask is one line, without its secrets."""
    answers, model, words = OTHERS[name]
    with scripted(*answers) as server:
        options = ("--base-url", server.base_url, "--model", model, "--api-key-env", "MY_KEY")
        said = refused(tmp_path, *options, env={"MY_KEY": SECRET})
    assert words in said
    assert SECRET not in said
    assert "\n" not in said.strip()


def test_nobody_there(tmp_path: Path) -> None:
    """A closed port is one line that names the address."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        said = refused(tmp_path, "--base-url", base_url, "--model", "small")
    assert base_url in said
    assert "\n" not in said.strip()


def test_spending_is_asked_for(tmp_path: Path) -> None:
    """What may cost something is not asked where nobody says yes: not even the name is looked up."""
    options = ("--base-url", "http://nobody.invalid/v1", "--model", "small")
    said = refused(tmp_path, *options)
    assert "this would spend tokens and nobody can be asked" in said
    assert "http://nobody.invalid/v1" not in said
    said = refused(tmp_path, *options, "--yes")
    assert "http://nobody.invalid/v1" in said


def chat(request: Request) -> Script:
    """A Chat answer as long as may be, a token each 5 ms."""
    tokens = request.json["max_completion_tokens"]
    usage = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": 9 + tokens}
    if not request.json.get("stream"):
        message = {"role": "assistant", "content": "one"}
        return json_response({"model": "small", "usage": usage, "choices": [{"index": 0, "message": message}]})
    paced = [step for number in range(tokens) for step in (0.005, piece({"content": f"word {number}, "}))]
    ended = {"id": "c", "object": "chat.completion.chunk", "model": "small", "choices": [], "usage": usage}
    return sse(piece({"role": "assistant"}), *paced, piece({}, "stop"), ended, "data: [DONE]\n\n")


def piece(delta: Mapping[str, Any], reason: str | None = None) -> Mapping[str, Any]:
    """A chunk."""
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "c", "object": "chat.completion.chunk", "model": "small", "choices": [choice]}


ONLY_CHAT: Mapping[str, Answer] = {"/v1/models": LISTING, "/v1/chat/completions": chat}


def test_only_one_api(tmp_path: Path) -> None:
    """Responses are said to be missing, Chat is examined, and that it streams is exit 0."""
    with scripted(routes=ONLY_CHAT) as server:
        options = ("--base-url", server.base_url, "--mode", "text", "--output-tokens", "64", "--json")
        done = bench("doctor", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    found = json.loads(done.stdout)
    assert [(one["api"], one["verdict"]) for one in found["findings"]] == [("chat", "streaming")]
    assert "no Responses API there" in " ".join(found["notes"])
    assert found["tokens"] == 2 * (16 + 64)


@SLOW
@pytest.mark.parametrize("form", ["terminal", "json", "markdown"])
def test_secrets_stay_hidden(tmp_path: Path, form: str) -> None:
    """A server that repeats the key in its errors, in and outside of streams, is quoted without it, in the page too."""

    def leaking(request: Request) -> Script:
        if not request.json.get("stream"):
            return json_response({"model": "small", "output": [], "choices": []})
        if request.path.endswith("responses"):
            failed = {"type": "response.failed", "response": {"error": {"message": f"The key {KEY} is of no use."}}}
            return sse({"type": "response.created"}, failed)
        return json_response({"error": {"message": f"Whose is {KEY}?"}}, status=500)

    routes: dict[str, Answer] = {"/v1/models": LISTING, "/v1/responses": leaking, "/v1/chat/completions": leaking}
    with scripted(routes=routes) as server:
        options = ["--base-url", server.base_url, "--api-key-env", "MY_KEY", "-H", f"X-Team: {KEY}-more"]
        options += ["--mode", "text", "--html", "page.html", *([] if form == "terminal" else [f"--{form}"])]
        done = bench("doctor", *options, cwd=tmp_path, env={"MY_KEY": KEY})
    assert done.returncode == 1, done.stderr
    page = (tmp_path / "page.html").read_text("utf-8")
    for text in (done.stdout, done.stderr, page):
        assert KEY not in text
    for text in (done.stdout, page):
        words = " ".join(text.split()).replace("\\*", "*")
        assert "Whose is ***?" in words
        assert "The key *** is of no use." in words


KEY = "7f3e-planted-c0ffee"
"""Nothing that looks like a key."""


@SLOW
def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C shows what was examined until then, says so, and is exit 130."""
    with scripted(routes=ONLY_CHAT) as server:
        process = started("doctor", "--base-url", server.base_url, "--model", "small", "--mode", "text", cwd=tmp_path)
        wait_for(lambda: len(server.requests) > 9)  # four of preflight
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "chat, text" in stdout
    assert "Interrupted after" in stdout


@SLOW
def test_interrupted_at_once(tmp_path: Path) -> None:
    """Where nothing has been examined there is nothing to show."""

    def silent(request: Request) -> Script:
        return (3600.0,) if request.json.get("stream") else chat(request)

    with scripted(routes={**ONLY_CHAT, "/v1/chat/completions": silent}) as server:
        process = started("doctor", "--base-url", server.base_url, "--model", "small", cwd=tmp_path)
        wait_for(lambda: bool(server.requests) and b'"stream":true' in server.requests[-1].body)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert not stdout
    assert stderr.splitlines()[-1] == "bench: interrupted"


def wait_for(true: Callable[[], bool]) -> None:
    """Until it is."""
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


@SLOW
def test_markdown(plain: str, tmp_path: Path) -> None:
    """It begins with the answer, has the table, and the command to check again, without what the shell needs not."""
    done = bench("doctor", "--base-url", plain, *SHORT, "--markdown", "--html", "a.html", "--yes", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "| responses, text | streaming |" in done.stdout
    again = shlex.join(["bench", "doctor", "--base-url", plain, *SHORT, "--markdown"])
    assert again in done.stdout
    assert "page: a.html" in done.stderr


@SLOW
def test_page(plain: str, tmp_path: Path) -> None:
    """--open writes doctor.html and, where no browser is, says where it lies; stdout stays as it is."""
    done = bench("doctor", "--base-url", plain, *SHORT, "--open", cwd=tmp_path, env={"BROWSER": "false", "PATH": ""})
    assert done.returncode == 0, done.stderr
    page = tmp_path / "doctor.html"
    assert f"--open: no browser was found; open {page.resolve()} yourself" in done.stderr
    assert done.stdout.splitlines()[2].startswith("Yes: ")
    text = page.read_text("utf-8")
    assert "streams" in text
    assert plain in text


@SLOW
def test_page_that_cannot_be_written(plain: str, tmp_path: Path) -> None:
    """What was found is shown all the same, and the folder that is missing is named."""
    done = bench("doctor", "--base-url", plain, *SHORT, "--html", "no/such/folder.html", cwd=tmp_path)
    assert done.returncode == 2
    assert "--html no/such/folder.html: cannot be written" in done.stderr
    assert "Yes: " in done.stdout


@SLOW
def test_target_sim(tmp_path: Path) -> None:
    """`--target sim` starts one, which streams."""
    done = bench("doctor", "--target", "sim", "--mode", "text", "--output-tokens", "64", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "Yes: sim streams." in done.stdout

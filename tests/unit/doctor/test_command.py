"""Which endpoints the options of `bench doctor` mean, with which model and key; and what else they are made into."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cli.commands.doctor import settings_from
from bench.core.errors import BenchError
from bench.core.target import Price, Target
from bench.doctor.command import repeat_command
from bench.doctor.endpoints import DoctorEndpoint, _with_unique_names, announce, ask_before_spending, choose
from bench.doctor.settings import DoctorSettings
from bench.plan.config import Config

A, B = "http://127.0.0.1:8001/v1", "http://127.0.0.1:8002/v1"
CONFIG = Config(
    targets=[
        Target(name="prod", base_url="https://api.example/v1", api_key_env="PROD_KEY", models=["m1", "m2"]),
        Target(name="dev", base_url="http://127.0.0.1:9000/v1", models=["m3"]),
    ]
)


def chosen(**options: Any) -> list[DoctorEndpoint]:
    """What they mean."""
    return choose(DoctorSettings(config=CONFIG, **options))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "which endpoint? for instance"),
        ({"base_urls": [A], "targets": ["dev"]}, "use one of them"),
        ({"base_urls": [A], "sim_behind": [B]}, "use one of them"),
        ({"base_urls": [A, A]}, f"{A} is given twice"),
        ({"targets": ["dev", "prod", "dev"]}, "dev is given twice"),
        ({"targets": ["pord"]}, "prod"),
        ({"base_urls": ["127.0.0.1:8001"]}, "not a base URL"),
        ({"base_urls": [A, B], "models": ["m", "n", "o"]}, "--model: give it once, or once for each endpoint"),
        ({"base_urls": [A], "models": ["m", "n"]}, "--model: give it once, or once for each endpoint"),
        ({"base_urls": [A, B], "api_key_envs": ["KEY"]}, "--api-key-env: give it once for each endpoint"),
        ({"base_urls": [A, B], "api_key_envs": ["K", "L", "M"]}, "--api-key-env: give it once for each endpoint"),
        ({"base_urls": [A], "api_key_envs": ["sk-12345678"]}, "not the name of an environment variable"),
    ],
)
def test_mistakes(options: dict[str, Any], says: str) -> None:
    """Each is said before anything is sent, and a key that stands in place of its name is not repeated."""
    with pytest.raises(BenchError, match=re.escape(says)) as raised:
        chosen(**options)
    assert "sk-12345678" not in str(raised.value)


def test_in_their_order() -> None:
    """Each endpoint with its own model and its own key, as they were given."""
    found = chosen(base_urls=[B, A], models=["m", "n"], api_key_envs=["K", "L"])
    assert [(one.name, one.model, one.target.api_key_env, one.simulated) for one in found] == [
        ("127.0.0.1:8002", "m", "K", False),
        ("127.0.0.1:8001", "n", "L", False),
    ]


def test_one_model_for_all_but_no_key() -> None:
    """A model may be shared; without a key's name none is sent to an address, whatever the environment has."""
    found = chosen(base_urls=[A, B], models=["m"])
    assert [(one.model, one.target.api_key_env) for one in found] == [("m", None), ("m", None)]
    assert [one.model for one in chosen(base_urls=[A, B])] == [None, None]


@given(st.integers(2, 5), st.integers(1, 6))
def test_a_key_goes_to_one_endpoint(endpoints: int, keys: int) -> None:
    """Of several endpoints each gets the key at its place, or nothing is sent at all."""
    urls = [f"http://127.0.0.1:{8000 + place}/v1" for place in range(endpoints)]
    names = [f"KEY_{place}" for place in range(keys)]
    if keys != endpoints:
        with pytest.raises(BenchError, match="--api-key-env"):
            chosen(base_urls=urls, api_key_envs=names)
    else:
        found = chosen(base_urls=urls, api_key_envs=names)
        assert [(one.target.base_url, one.target.api_key_env) for one in found] == list(zip(urls, names, strict=True))


def test_targets_of_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    """They bring their own model and key; of several models the first is examined, and that is said."""
    found = chosen(targets=["prod", "dev"])
    assert [(one.name, one.model, one.target.api_key_env) for one in found] == [
        ("prod", "m1", "PROD_KEY"),
        ("dev", "m3", None),
    ]
    assert "target prod has several models; m1 is examined" in capsys.readouterr().err


def test_a_gateway_before_the_simulator() -> None:
    """It is asked for the simulator's model unless another one is named, and may be told how long to answer."""
    (found,) = chosen(sim_behind=[A])
    assert (found.model, found.simulated, found.target.base_url) == ("sim-1", True, A)
    assert [one.model for one in chosen(sim_behind=[A], models=["alias"])] == ["alias"]
    (embedded,) = chosen(targets=["sim"])
    assert (embedded.simulated, embedded.target.base_url) == (True, None)


def test_a_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would buffer in the endpoint's place: that is refused, with the way out."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    with pytest.raises(BenchError, match="add the host to NO_PROXY"):
        chosen(base_urls=["http://10.1.2.3/v1"])


def test_told_apart() -> None:
    """Endpoints of one host are called by their addresses, others by their hosts."""
    found = chosen(base_urls=["http://127.0.0.1:8001/v1", "http://127.0.0.1:8001/other/v1", B])
    assert [one.name for one in found] == [
        "http://127.0.0.1:8001/v1",
        "http://127.0.0.1:8001/other/v1",
        "127.0.0.1:8002",
    ]
    assert _with_unique_names(found) == found


@pytest.mark.parametrize(
    ("argv", "again"),
    [
        (["bench", "doctor", "--base-url", A, "-y"], ["bench", "doctor", "--base-url", A]),
        (["d", "--html", "page.html", "--open", "--json"], ["d", "--json"]),
        (["d", "--html=page.html", "--yes", "--seed", "3"], ["d", "--seed", "3"]),
        (["d", "--html"], ["d"]),
        (["d", "--html", "--yes", "--seed", "3"], ["d", "--seed", "3"]),
    ],
)
def test_the_command_again(argv: list[str], again: list[str]) -> None:
    """It has all but the page and the question."""
    assert repeat_command(argv) == again


def test_requests() -> None:
    """A text is always among them, in the order of the modes; one API alone if that is asked for."""
    alone = DoctorSettings(api="chat", modes=["structured"]).questions
    assert [one.mode for one in alone] == ["text", "text", "text", "structured"] * 2
    assert {one.api for one in alone} == {"chat"}
    assert {one.api for one in DoctorSettings().questions} == {"responses", "chat"}
    assert max(one.tokens for one in DoctorSettings(output_tokens=2000).questions) == 2000


@pytest.mark.parametrize(
    ("price", "url", "asks"),
    [
        (None, A, False),
        (Price(input=1, output=2), A, True),
        (None, "https://api.example/v1", True),
    ],
)
@pytest.mark.parametrize("yes", [False, True])
def test_consent(price: Price | None, url: str, *, asks: bool, yes: bool) -> None:
    """Only what may cost something is asked for, once, and a no sends nothing."""
    one = DoctorEndpoint(Target(name="t", base_url=url, price=price), "m", "t", simulated=False)
    questions: list[str] = []

    def no(question: str) -> bool:
        questions.append(question)
        return False

    if asks and not yes:
        with pytest.raises(BenchError, match="nothing was sent"):
            ask_before_spending([one, one], DoctorSettings(), no)
    else:
        ask_before_spending([one], DoctorSettings(yes=yes), no)
    assert len(questions) == (asks and not yes)


def test_what_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    """The number of requests, preflight's too, for each endpoint by its host and model."""
    announce(chosen(base_urls=[A, B], models=["m"]), DoctorSettings())
    said = capsys.readouterr().err
    assert "127.0.0.1:8001, m" in said
    assert "127.0.0.1:8002, m" in said
    assert said.count(f"{len(DoctorSettings().questions) + 2} requests") == 2


def test_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What click gives becomes settings; what was not given keeps its default; files of the project are read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bench.toml").write_text('[targets.mine]\nbase_url = "http://127.0.0.1:9/v1"\n')
    options = {
        "base_urls": (A,),
        "targets": (),
        "models": (),
        "headers": ("X-Team: a", "X-Key: ${KEY}"),
        "extra_body": '{"top_p": 0.5}',
        "api": None,
        "output_tokens": 64,
        "seed": 0,
        "modes": (),
        "yes": False,
    }
    found = settings_from(options)
    assert (found.base_urls, found.targets, found.output_tokens, found.seed) == ((A,), (), 64, 0)
    assert found.headers == {"X-Team": "a", "X-Key": "${KEY}"}
    assert found.extra_body == {"top_p": 0.5}
    assert (found.modes, found.api, found.deadline) == (DoctorSettings().modes, None, DoctorSettings().deadline)
    assert [target.name for target in found.config.targets] == ["mine"]


@pytest.mark.parametrize("wrong", [{"headers": ("nonsense",)}, {"extra_body": "[1]"}, {"extra_body": "{"}])
def test_wrong_settings(wrong: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are said, not passed on."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BenchError):
        settings_from(wrong)

"""Configuration files, the choice of targets, and the secrets that are looked up when they are sent."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cli.config_file import load_config
from bench.core.errors import BenchError, unknown
from bench.core.target import BUILT_IN, DUMMY_KEY, Price, Target, expanded_headers, key_for, parse_header, secrets_of
from bench.plan.config import Config
from bench.plan.cost.budget import parse_budget
from bench.plan.targets import ResolvedTargets, parse_extra_body, resolve_targets
from tests.support.paths import ROOT

MINE = Target(name="mine", base_url="http://127.0.0.1:1/v1", models=("a", "b"), source="bench.toml")


def write(folder: Path, text: str, name: str = "bench.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def load(folder: Path, text: str) -> Config:
    return load_config(folder, write(folder, text), {})


def refused(folder: Path, text: str) -> str:
    with pytest.raises(BenchError) as caught:
        load(folder, text)
    assert "\n" not in str(caught.value)
    assert str(folder / "bench.toml") in str(caught.value)
    return str(caught.value)


def resolve(config: Config | None = None, plugins: tuple[Target, ...] = (), **options: Any) -> ResolvedTargets:
    plain: dict[str, Any] = {
        "target_names": (),
        "base_url": None,
        "models": (),
        "api_key_env": None,
        "headers": {},
        "extra_body": {},
        "environ": {},
    }
    return resolve_targets(config or Config((MINE,)), plugins, **{**plain, **options})


def test_the_documented_example(tmp_path: Path) -> None:
    """The bench.toml in docs/targets.md is read as its text says."""
    page = (ROOT / "docs" / "targets.md").read_text("utf-8")
    [example] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    config = load(tmp_path, example)
    gateway, local = config.targets
    assert gateway == Target(
        name="gateway",
        base_url="https://llm.example.com/v1",
        api_key_env="GATEWAY_API_KEY",
        models=("gpt-4o-mini", "gpt-4.1-mini"),
        headers={"X-Team": "search", "X-Tenant-Token": "${TENANT_TOKEN}"},
        extra_body={"service_tier": "default"},
        price=Price(input=0.15, output=0.6),
        source=str(tmp_path / "bench.toml"),
    )
    assert (local.models, local.lacks) == ((), ("json_schema",))
    assert config.run == {
        "pairs": 72,
        "precision": 0.05,
        "budgets": (parse_budget("10m"), parse_budget("200k-tokens")),
        "warmup": 3,
        "concurrency": (1,),
        "seed": 7,
        "deadline": 60,
        "retries": 0,
        "output_tokens": 200,
    }


def test_no_file_is_an_empty_config(tmp_path: Path) -> None:
    """Without any file there are no targets and no defaults."""
    assert load_config(tmp_path, None, {}) == Config()


def test_bench_toml_beats_pyproject(tmp_path: Path) -> None:
    """Both files count; where they say the same thing, bench.toml does."""
    write(tmp_path, '[targets.a]\nbase_url = "http://one/v1"\n[run]\npairs = 1\n')
    text = '[tool.bench.targets.a]\nbase_url = "http://two"\n[tool.bench.targets.b]\nbase_url = "http://b"\n'
    write(tmp_path, f"{text}[tool.bench.run]\npairs = 2\nseed = 3\n", "pyproject.toml")
    config = load_config(tmp_path, None, {})
    assert {target.name: target.base_url for target in config.targets} == {"a": "http://one/v1", "b": "http://b"}
    assert config.run == {"pairs": 1, "seed": 3}
    assert config.files == (tmp_path / "bench.toml", tmp_path / "pyproject.toml")


def test_a_foreign_pyproject_says_nothing(tmp_path: Path) -> None:
    """A pyproject.toml without [tool.bench] is passed over."""
    write(tmp_path, '[project]\nname = "x"\n[tool.other]\nrun = 3\n', "pyproject.toml")
    assert load_config(tmp_path, None, {}) == Config()


def test_files_are_found_upwards_but_not_beyond_the_repository(tmp_path: Path) -> None:
    """Parents count up to the repository's root or home, and outside of both not at all."""
    write(tmp_path, "[run]\npairs = 5\n")
    below = tmp_path / "repo" / "deep"
    below.mkdir(parents=True)
    assert load_config(below, None, {}).run == {}
    assert load_config(below, None, {"HOME": str(tmp_path)}).run == {"pairs": 5}
    (tmp_path / "repo" / ".git").mkdir()
    assert load_config(below, None, {"HOME": str(tmp_path)}).run == {}
    write(tmp_path / "repo", "[run]\npairs = 6\n")
    assert load_config(below, None, {"HOME": str(tmp_path)}).run == {"pairs": 6}


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    """A file saved with a byte-order mark is read."""
    assert load(tmp_path, "\ufeff[run]\npairs = 5\n").run == {"pairs": 5}


def test_the_plugins_folder_is_beside_the_file(tmp_path: Path) -> None:
    """A relative plugins-dir counts from the file that says it."""
    assert load(tmp_path, '[run]\nplugins-dir = "mine"\n').run == {"plugins_dirs": (tmp_path / "mine",)}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[run]\npairs = \n", ":2:9: "),
        ("[run", ":1:5: "),
        ('a = "x\n', ":1:7: "),
        ("[run]\npairs = 1\npairs = 2\n", ":3:"),
    ],
)
def test_toml_errors_say_line_and_column(tmp_path: Path, text: str, place: str) -> None:
    """A file that is no TOML is an error with line and column."""
    assert f"bench.toml{place}" in refused(tmp_path, text)


def test_bytes_that_are_no_text_say_line_and_column(tmp_path: Path) -> None:
    """A file that is not UTF-8 is an error with line and column."""
    (tmp_path / "bench.toml").write_bytes(b"\xef\xbb\xbf[run]\n# \xc3\xa9\xff\n")
    with pytest.raises(BenchError, match=r"bench\.toml:2:4: not UTF-8"):
        load_config(tmp_path, None, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[target.x]\n", "unknown key 'target': did you mean 'targets'?"),
        ("[targets.x]\nbase_url = 'http://x'\nmodle = 'm'", "[targets.x]: unknown key 'modle': did you mean 'model'?"),
        ("[targets.x]\nbase-url = 'http://x'", "unknown key 'base-url': did you mean 'base_url'?"),
        ("[run]\nmax_retries = 1", "[run]: unknown key 'max_retries': did you mean 'max-retries'?"),
        ("[run]\npairs = '3'", "[run]: pairs must be a whole number"),
        ("[run]\npairs = true", "[run]: pairs must be a whole number"),
        ("run = 3", "run must be a table"),
        ("[targets]\nx = 3", "[targets.x]: expected a table with base_url"),
        ("[targets.x]\nmodel = 'm'", "[targets.x]: base_url is missing"),
        ("[targets.x]\nbase_url = 'x/v1'", "[targets.x] base_url: not a base URL"),
        ("[targets.x]\nbase_url = 'http://x'\nmodel = [3]", "[targets.x] model: expected text"),
        ("[targets.x]\nbase_url = 'http://x'\nprice = {input = 1}", "[targets.x] price: give both"),
        ("[targets.x]\nbase_url = 'http://x'\nprice = {input = 1, output = -1}", "price: give both"),
        ("[targets.x]\nbase_url = 'http://x'\nextra_body = {a = 2020-01-01}", "extra_body: cannot be sent as JSON"),
        ("[targets.x]\nbase_url = 'http://x'\nheaders = {'a b' = 'c'}", "'a b' is not the name of a header"),
        ("[targets.x]\nbase_url = 'http://x'\nheaders = {a = '${'}", "that is not ${VARIABLE}"),
        ("[targets.sim]\nbase_url = 'http://x'", "cannot redefine the built-in target 'sim'"),
        ("[targets.openai]\nbase_url = 'http://x'", "cannot redefine the built-in target 'openai'"),
        ("target = 'x'", "a file cannot choose the target"),
        ("[run]\nbase-url = 'http://x'", "a file cannot choose the target"),
    ],
)
def test_what_a_file_gets_wrong(tmp_path: Path, text: str, message: str) -> None:
    """Unknown keys, wrong types and forbidden settings are one line with the table and the fix."""
    assert message in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("pairs = 0", "0 is not in the range x>=1"),
        ("warmup = -1", "-1 is not in the range x>=0"),
        ("concurrency = 0", "'0', column 1: write numbers from 1 on"),
        ("seed = -3", "-3 is not in the range x>=0"),
        ("delivery = 'streemed'", "unknown value 'streemed': did you mean 'streamed'?"),
        ("deadline = -5", "-5.0 is not in the range x>0"),
        ("deadline = 0", "0.0 is not in the range x>0"),
        ("deadline = nan", "nan is not a length of time"),
        ("deadline = inf", "inf is not a length of time"),
        (f"deadline = 1{400 * '0'}", "inf is not a length of time"),
        ("max-retries = -1", "-1 is not in the range x>=0"),
        ("output-tokens = -1", "-1 is not in the range x>=1"),
    ],
)
def test_defaults_have_the_bounds_of_their_options(tmp_path: Path, line: str, message: str) -> None:
    """What the option would refuse is refused in [run], in one line with file and key."""
    assert f"[run]: {line.split(maxsplit=1)[0]}: {message}" in refused(tmp_path, f"[run]\n{line}\n")


def test_defaults_at_their_bounds(tmp_path: Path) -> None:
    """The smallest values that the options take are taken in [run] too."""
    least = {"pairs": 1, "warmup": 0, "concurrency": 1, "seed": 0, "deadline": 0.1, "max-retries": 0}
    text = "".join(f"{name} = {value}\n" for name, value in least.items())
    fields = {"concurrency": (1,), "retries": 0}
    kept = {name: value for name, value in least.items() if name not in {"concurrency", "max-retries"}}
    assert load(tmp_path, f"[run]\n{text}delivery = 'both'\n").run == {**kept, **fields, "delivery": "both"}


@pytest.mark.parametrize(
    "line",
    [
        "api_key = 'sk-planted'",
        "api_key_env = 'sk-planted'",
        "headers = {Authorization = 'Bearer sk-planted'}",
        "headers = {X-Api-Key = 'sk-planted'}",
        "base_url = 'http://me:sk-planted@host/v1'",
        "base_url = 'http://host/v1?key=sk-planted'",
    ],
)
def test_secrets_in_a_file_are_refused(tmp_path: Path, line: str) -> None:
    """A secret written into the file is an error that does not repeat it."""
    base = "" if line.startswith("base_url") else "base_url = 'http://x'\n"
    assert "planted" not in refused(tmp_path, f"[targets.x]\n{base}{line}\n")


def test_a_missing_explicit_file(tmp_path: Path) -> None:
    """A file that was named but is not there is an error."""
    with pytest.raises(BenchError, match=r"none\.toml: cannot be read"):
        load_config(tmp_path, tmp_path / "none.toml", {})


def test_nothing_asked_is_the_simulator() -> None:
    """Without options the simulator is measured, and a set key or base URL is said to be unused."""
    assert resolve() == ResolvedTargets([(BUILT_IN[0], "sim-1")], [])
    notices = resolve(environ={"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://x"}).notices
    assert notices == [
        "OPENAI_API_KEY and OPENAI_BASE_URL not used: this run is on the simulator; --target openai uses it"
    ]


def test_a_model_alone_is_refused() -> None:
    """--model without an endpoint is an error with the two ways to say one."""
    with pytest.raises(BenchError, match="add `--target openai` or `--base-url URL`"):
        resolve(models=["gpt-4o"])


def test_targets_times_models() -> None:
    """Every target is combined with every asked model, else with its own."""
    asked = resolve(target_names=["mine", "sim", "mine"], models=["x", "y"]).choices
    assert [(target.name, model) for target, model in asked] == [
        ("mine", "x"),
        ("mine", "y"),
        ("sim", "x"),
        ("sim", "y"),
    ]
    assert [model for _, model in resolve(target_names=["mine"]).choices] == ["a", "b"]


def test_a_model_that_is_named_twice_is_measured_once() -> None:
    """A repeated model, asked for or of the target itself, is one choice: it cannot be compared with itself."""
    target = Target(name="t", base_url="http://h", models=("a", "b", "a"))
    assert [model for _, model in resolve(base_url="http://h", models=["x", "y", "x"]).choices] == ["x", "y"]
    assert [model for _, model in resolve(Config((target,)), target_names=["t"]).choices] == ["a", "b"]


def test_an_address_is_a_target() -> None:
    """--base-url makes a target named by its host, without a key unless one is named, its model open."""
    environ = {"OPENAI_API_KEY": "real"}
    [(target, model)] = resolve(base_url="http://127.0.0.1:8000/v1/", environ=environ).choices
    assert (target.name, target.base_url, model) == ("127.0.0.1:8000", "http://127.0.0.1:8000/v1", None)
    assert key_for(target, environ) == DUMMY_KEY
    [(target, _)] = resolve(base_url="http://host/v1", api_key_env="OPENAI_API_KEY").choices
    assert key_for(target, environ) == "real"


@pytest.mark.parametrize(
    "url", ["host:8000", "ftp://host/v1", "http://", "http://ho st/v1", "http://host:port/v1", "http://[::1/v1", ""]
)
def test_what_is_no_base_url(url: str) -> None:
    """Anything but http(s) with a host is refused, naming the option."""
    with pytest.raises(BenchError, match="--base-url: not a base URL"):
        resolve(base_url=url)


@given(st.text())
def test_any_text_as_base_url(text: str) -> None:
    """Whatever is given as a base URL is a target or one clear error."""
    try:
        [(target, _)] = resolve(base_url=text).choices
    except BenchError:
        return
    assert (target.base_url or "").startswith(("http://", "https://"))
    assert "@" not in target.host


def test_openai_honours_its_base_url() -> None:
    """OPENAI_BASE_URL moves the target openai, visibly, and no other."""
    resolved = resolve(target_names=["openai", "mine"], environ={"OPENAI_BASE_URL": "http://proxy:1/v1"})
    assert [target.base_url for target, _ in resolved.choices] == ["http://proxy:1/v1", *["http://127.0.0.1:1/v1"] * 2]
    assert resolved.notices == ["OPENAI_BASE_URL is set: requests for the target openai go to proxy:1"]
    with pytest.raises(BenchError, match="OPENAI_BASE_URL: user and password"):
        resolve(target_names=["openai"], environ={"OPENAI_BASE_URL": "http://a:b@proxy"})


def test_an_openai_key_that_goes_elsewhere_is_announced() -> None:
    """A file that sends OPENAI_API_KEY to another host is followed, and the user is told."""
    other = Target(name="other", base_url="http://h/v1", api_key_env="OPENAI_API_KEY", source="bench.toml")
    assert resolve(Config((other,)), target_names=["other"]).notices == [
        "target other (bench.toml) sends OPENAI_API_KEY to h"
    ]


def test_options_lie_on_top_of_the_target() -> None:
    """Headers (whatever their case) and extra body of the command line beat those of the target."""
    target = Target(name="t", base_url="http://h", headers={"x-a": "1", "X-B": "2"}, extra_body={"p": 1, "q": 2})
    [(chosen, _)] = resolve(Config((target,)), target_names=["t"], headers={"X-A": "9"}, extra_body={"q": 3}).choices
    assert chosen.headers == {"X-B": "2", "X-A": "9"}
    assert chosen.extra_body == {"p": 1, "q": 3}


def test_unknown_and_contradicting_choices() -> None:
    """An unknown target, two kinds of choice, and one key for several endpoints are errors."""
    with pytest.raises(BenchError, match=r"unknown target 'opnai': did you mean 'openai'\? \(bench list shows all\)"):
        resolve(target_names=["opnai"])
    with pytest.raises(BenchError, match="an address goes to --base-url"):
        resolve(target_names=["http://host"])
    with pytest.raises(BenchError, match="give one of them"):
        resolve(target_names=["sim"], base_url="http://host")
    with pytest.raises(BenchError, match="one key to several targets"):
        resolve(target_names=["mine", "openai"], api_key_env="KEY")
    with pytest.raises(BenchError, match="--api-key-env: not the name") as caught:
        resolve(base_url="http://host", api_key_env="sk-planted")
    assert "planted" not in str(caught.value)


def test_two_targets_of_one_name() -> None:
    """Two plugins with a target of the same name are both named; the same target twice is no conflict."""
    one = Target(name="t", base_url="http://one", source="one.py")
    two = Target(name="t", base_url="http://two", source="two.py")
    with pytest.raises(BenchError, match=r"two targets are named 't': one from one\.py, one from two\.py"):
        resolve(plugins=(one, two), target_names=["t"])
    assert resolve(plugins=BUILT_IN).choices == resolve().choices


def test_keys_and_headers_come_from_the_environment() -> None:
    """Keys and ${VARIABLES} are looked up when they are sent, and all of them count as secrets."""
    headers = {"authorization": "Bearer ${TOKEN}", "X-Team": "blue"}
    target = Target(name="t", base_url="http://h", api_key_env="KEY", headers=headers)
    environ = {"KEY": "the-key", "TOKEN": "the-token"}
    assert key_for(target, environ) == "the-key"
    assert expanded_headers(target, environ) == {"Authorization": "Bearer the-token", "X-Team": "blue"}
    assert secrets_of(target, environ) == {"the-key", "the-token", "Bearer the-token", "blue"}


def test_missing_and_broken_variables() -> None:
    """A variable that is missing, or cannot be sent, is named in one line that does not show what it holds."""
    target = Target(name="t", base_url="http://h", api_key_env="KEY", headers={"X-A": "${TOKEN}"})
    with pytest.raises(BenchError, match=r"^KEY is not set \(target t\): export it, or name another .*--api-key-env$"):
        key_for(target, {"KEY": ""})
    with pytest.raises(BenchError, match=r"^TOKEN is not set \(header X-A of target t\): export it$"):
        expanded_headers(target, {})
    with pytest.raises(BenchError, match=r"KEY \(target t\) holds") as caught:
        key_for(target, {"KEY": "planted\n"})
    assert "planted" not in str(caught.value)


def test_headers_are_parsed() -> None:
    """`Name: value` is split at the first colon; anything else is refused without repeating it."""
    assert parse_header("X-Time: 12:30 ") == ("X-Time", "12:30")
    assert parse_header("X-Empty:") == ("X-Empty", "")
    for text in ("Bearer planted", ": planted", "a b: planted", "X: planted\r\nY: z", "X: ${planted", "X: ${pla-nted}"):
        with pytest.raises(BenchError) as caught:
            parse_header(text)
        assert "planted" not in str(caught.value)


def test_extra_body_is_parsed(tmp_path: Path) -> None:
    """A JSON object, given or in a file; errors say line and column."""
    file = write(tmp_path, '{"top_p": 0.5}', "body.json")
    assert parse_extra_body('{"a": [1]}') == {"a": [1]}
    assert parse_extra_body(f"@{file}") == {"top_p": 0.5}
    write(tmp_path, '{\n"a": }', "body.json")
    for text, message in (
        (f"@{file}", r"body\.json:2:6: not valid JSON"),
        ("@none.json", r"none\.json: cannot be read"),
        ("{", "--extra-body:1:2: not valid JSON"),
        ("[1]", "--extra-body: expected a JSON object"),
    ):
        with pytest.raises(BenchError, match=message):
            parse_extra_body(text)


def test_nearest_names() -> None:
    """The nearest name is proposed; without one, few known names are all said, many are cut short."""
    assert str(unknown("x", "txt", ["text", "function_call"])) == "unknown x 'txt': did you mean 'text'?"
    assert str(unknown("x", "q", ["b", "a"], hint="h")) == "unknown x 'q': known: a, b (h)"
    assert str(unknown("x", "q", map(str, range(10)))).endswith("known: 0, 1, 2, 3, 4, 5, 6, 7 and 2 more")
    assert str(unknown("x", "q", [])) == "unknown x 'q': there are none"


SCHEMA = json.loads((ROOT / "docs" / "bench.schema.json").read_text("utf-8"))
EXAMPLES = [
    pytest.param(match[1], id=f"{page.stem}-{match.start()}")
    for page in sorted((ROOT / "docs").rglob("*.md"))
    for match in re.finditer(r"```toml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    if re.search(r"^\[(targets|run|gate)", match[1], re.MULTILINE)
]


def test_the_schema_is_one() -> None:
    """docs/bench.schema.json is a JSON Schema, and there are examples to try it on."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert len(EXAMPLES) >= 2


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_schema_accepts_the_documented_files(text: str) -> None:
    """Every bench.toml of the documentation."""
    jsonschema.validate(tomllib.loads(text), SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "[run]\nmax_retries = 1",
        "[run]\npairs = '3'",
        "[run]\npairs = 0",
        "[run]\ndeadline = '2 min'",
        "[run]\nclient = 'wier'",
        "[run]\nslo = [3]",
        "[target.x]\nbase_url = 'http://x'",
        "[targets.x]\nmodel = 'm'",
        "[targets.x]\nbase_url = 'http://x'\nprice = {input = 1}",
        "[gate]\nfail_on = 'ttft > 1s'",
    ],
)
def test_the_schema_refuses_what_bench_refuses(tmp_path: Path, text: str) -> None:
    """A wrong key, type, bound or word is marked by an editor as `bench run` would refuse it."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(text), SCHEMA)
    refused(tmp_path, text)


@pytest.mark.parametrize(
    "line",
    ["deadline = '2m'", "ramp = 2", "duration = '500 ms'", "precision = 0.05", "budget = '10m'", "slo = ['ttft=1s']"],
)
def test_the_schema_accepts_what_bench_accepts(tmp_path: Path, line: str) -> None:
    """Lengths of time with a unit and without, fractions, one text and several."""
    jsonschema.validate(tomllib.loads(f"[run]\n{line}"), SCHEMA)
    load(tmp_path, f"[run]\n{line}")

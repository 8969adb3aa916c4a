"""From names, files and tags to scenarios, and from scenarios and targets to cells."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from bench.core.errors import BenchError
from bench.core.load import ALONE
from bench.core.plugins.loader import Registry, load
from bench.core.target import Target
from bench.plan.selection import choose_scenarios, make_cells
from tests.support.cli import invoke

PLUGIN = """
    from bench import Scenario, hookimpl

    async def streamed(client, ask):
        yield "x"

    @hookimpl
    def register_scenarios():
        yield Scenario("zeta", streamed, tags=["mine", "other"])
        yield Scenario("alpha", streamed, tags=["mine"], needs=["stored"])
        yield Scenario("plain", streamed)
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """The built-in scenarios and three of our own."""
    path = tmp_path_factory.mktemp("plugins") / "mine.py"
    path.write_text(dedent(PLUGIN))
    return load([path])


def names(registry: Registry, *arguments: str, tags: tuple[str, ...] = ()) -> list[str]:
    """Names of the chosen scenarios."""
    return [scenario.name for scenario in choose_scenarios(registry, arguments, [], tags)]


def test_a_tag_chooses_its_scenarios(registry: Registry) -> None:
    """Any of several tags will do, and each scenario comes once."""
    assert names(registry, tags=("mine",)) == ["alpha", "zeta"]
    assert names(registry, tags=("other", "mine")) == ["zeta", "alpha"]


def test_names_and_tags_add_up(registry: Registry) -> None:
    """What is named comes first; the core set is left out."""
    assert names(registry, "plain", tags=("other",)) == ["plain", "zeta"]


def test_all_is_every_scenario(registry: Registry) -> None:
    """Of all plugins, also beside a name."""
    assert names(registry, "all") == list(registry.scenarios)
    assert names(registry, "zeta", "all")[0] == "zeta"


def test_nothing_named_is_the_core_set(registry: Registry) -> None:
    """Scenarios without the tag `core` have to be asked for."""
    assert {"text", "function_call", "structured_output"} <= set(names(registry))
    assert "plain" not in names(registry)


@pytest.mark.parametrize(
    ("arguments", "tags", "message"),
    [((), ("mien",), "unknown tag 'mien': did you mean 'mine'? (all tags: "), (("al",), (), "unknown scenario 'al'")],
)
def test_unknown_names_are_one_line(
    registry: Registry, arguments: tuple[str, ...], tags: tuple[str, ...], message: str
) -> None:
    """With the nearest one, and for tags all of them."""
    with pytest.raises(BenchError) as caught:
        names(registry, *arguments, tags=tags)
    assert str(caught.value).startswith(message)


def test_parameters_make_cells_and_needs_are_said_once(registry: Registry) -> None:
    """Each value is a cell of its own; what a target lacks is one notice, whatever the number of models."""
    target = Target(name="there", base_url="http://127.0.0.1:1/v1", lacks=("stored",))
    chosen = choose_scenarios(registry, ["alpha", "plain"], [])
    said: list[str] = []
    cells = make_cells(
        chosen,
        [(target, "a"), (target, "b")],
        delivery="both",
        loads=[ALONE],
        clients=["sdk"],
        prompts={"alpha": ["x"], "plain": ["x"]},
        params={"alpha": [""], "plain": ['{"n":1}', '{"n":2}']},
        notice=said.append,
    )
    assert [(cell.scenario, cell.model, cell.params) for cell in cells] == [
        ("plain", model, params) for model in ("a", "b") for params in ('{"n":1}', '{"n":2}')
    ]
    assert said == ["unsupported: alpha on there (the target lacks stored)"]


WRONG = {
    'needs=["tool"]': "needs: unknown capability 'tool': did you mean 'tools'?",
    'needs="tools"': '`needs` is a list: ["tools"]',
    'connection="hot"': "`connection` is 'warm' or 'cold', not 'hot'",
    "params=Open": "`params` needs a default for every field: top_k: Field required",
    "params=Open(top_k=1)": "`params` must be a pydantic model: a class, not ",
    "setup=3": "`setup` must be a function with @asynccontextmanager above it (@contextmanager for a plain one)",
    'sim={"items": []}': "`sim` is a list of mappings",
    'sim=[{"itmes": []}]': "sim[0].itmes: Extra inputs are not permitted",
    'sim=[{}, {"items": [{"type": "txt"}]}]': "sim[1].items.0.type: Input should be 'message'",
    'prompts=["a", {"prompt": "b", "sim": [{"end": "x"}]}]': "prompt 2: sim[0].end: Input should be 'completed'",
}


@pytest.mark.parametrize("keywords", WRONG)
def test_what_a_scenario_says_wrongly_is_one_line(tmp_path: Path, keywords: str) -> None:
    """It names the scenario and the place."""
    path = tmp_path / "mine.py"
    path.write_text(
        dedent(f"""
        from pydantic import BaseModel
        from bench import Scenario, hookimpl

        class Open(BaseModel):
            top_k: int

        async def streamed(client, ask):
            yield "x"

        @hookimpl
        def register_scenarios():
            yield Scenario("mine", streamed, {keywords})
        """)
    )
    with pytest.raises(BenchError) as caught:
        load([path])
    assert str(caught.value).startswith(f"plugin {path}: scenario 'mine': ")
    assert WRONG[keywords] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_target_lacks_only_what_there_is(tmp_path: Path) -> None:
    """A capability that bench does not know is an error that names the nearest, also in a plugin's target."""
    path = tmp_path / "mine.py"
    path.write_text(
        dedent("""
        from bench import Target, hookimpl

        @hookimpl
        def register_targets():
            yield Target(name="there", base_url="http://127.0.0.1:1/v1", lacks=["tols"])
        """)
    )
    with pytest.raises(BenchError, match=r"target 'there': lacks: unknown capability 'tols': did you mean 'tools'\?"):
        load([path])


def test_an_api_that_chooses_nothing_is_said(tmp_path: Path) -> None:
    """`--api` is about the core set: with other scenarios named it changes nothing, and a line says so."""
    notice = "--api chat changes nothing: it chooses among core scenarios, and others were named"
    assert notice in invoke("run", "usage", "--api", "chat", "--dry-run", cwd=tmp_path).stderr
    assert notice not in invoke("run", "--api", "chat", "--dry-run", cwd=tmp_path).stderr

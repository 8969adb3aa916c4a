"""A definition is named by a noun or a verb phrase, and a public class name stands for one thing."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from tests.support.paths import ROOT

ROOMS = ("bench", "plugins", "tools")
IRREGULAR = """
begun bound broken brought built caught chosen dealt done drawn fed felt found frozen given gone got grown had
heard held hidden kept known laid led left lent lost made meant met paid said sat seen sent shown shut slept
sold spent spoken stolen stood struck stuck taken taught thought thrown told torn understood won worn written
"""
PREPOSITIONS = """
about above after against ahead along among apart around aside at away before behind below beside besides
between beyond by down during for from in near of off on onto out over past per since through together toward
under until up via with within without
"""
PRONOUNS = """
all another any anything both each either enough every everything few how it least less most much neither
nobody none nothing one ones other others own same so some something such that them these they this those what
whatever when where which who whole whom whose why
"""
NO_NAME = set(f"{IRREGULAR} {PREPOSITIONS} {PRONOUNS}".split())
FIELD_WORDS = {"feed", "need", "seed", "shed", "simulated", "speed", "streamed"}
"""Words that end like a participle: nouns, and the words of `Scenario(streamed, …)` and `Target.simulated`."""


def definitions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    """Yield each function, method and class of the rooms with its place."""
    for file in (file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py"))):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield f"{file.relative_to(ROOT)}:{node.lineno} {node.name}", node


def names_nothing(name: str) -> bool:
    """Return True if a name is a bare participle, preposition or pronoun, or begins with `of_`."""
    word = name.strip("_").lower()
    if word.startswith("of_"):
        return True
    return word in NO_NAME or (word.endswith("ed") and "_" not in word and word not in FIELD_WORDS)


def test_a_name_names_something() -> None:
    """No definition is called `told`, `seen`, `beside` or `of_cell`: name what is told, and which rows of the cell."""
    assert [place for place, node in definitions() if names_nothing(node.name)] == []


def test_a_class_name_stands_for_one_thing() -> None:
    """No public class of bench/ is called as another one is, but for one word that users see in two places."""
    places = defaultdict(list)
    for place, node in definitions():
        if isinstance(node, ast.ClassDef) and place.startswith("bench/") and not node.name.startswith("_"):
            places[node.name].append(place)
    # a finding of `bench.testing` is public, and so is one of `bench doctor --json`
    assert [name for name, found in places.items() if len(found) > 1] == ["Finding"]

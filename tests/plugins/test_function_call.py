"""The check of the built-in scenario `function_call`; what reads its stream is tested with `bench.core.streams`."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bench.core.plugins.loader import builtin_folder, load_file

plugin = load_file(builtin_folder() / "function_call.py")
WHOLE = '{"location":"Lisbon","unit":"celsius","days":1}'


def test_check_accepts_what_fits_the_tool() -> None:
    """Arguments that fit the tool's parameters are valid."""
    assert plugin.check(WHOLE).location == "Lisbon"


@pytest.mark.parametrize("text", ['{"location":"Lisbon"}', WHOLE[:-5], '{"location":1,"unit":"kelvin","days":"x"}'])
def test_check_refuses_what_does_not_fit(text: str) -> None:
    """Arguments that lack something, are cut or are of the wrong type are not valid."""
    with pytest.raises(ValidationError):
        plugin.check(text)


def test_check_says_that_there_is_no_call() -> None:
    """An answer without a function call is refused in words."""
    with pytest.raises(ValueError, match="no function call"):
        plugin.check("")

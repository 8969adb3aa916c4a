"""Say what ended the run and what it cost, for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def stopping_line(manifest: Mapping[str, Any]) -> str:
    """Write `ended: …; cost: …` from the manifest's `stopping`; empty where there is none (a killed run)."""
    stopping = manifest.get("stopping")
    if not stopping:
        return ""
    said = ", ".join(stopping["said"]) or stopping["reason"]
    return f"ended: {said}; cost: {_cost(stopping['spent'])}"


def _cost(spent: Mapping[str, Any]) -> str:
    tokens = f"{spent['output_tokens']:,} output and {spent['input_tokens']:,} input tokens"
    untold = spent["untold"]
    if not untold["trials"]:
        return f"{tokens}, {_money(spent)}"
    trials = f"{untold['trials']:,} trial{'s' if untold['trials'] > 1 else ''}"
    more = f"; {trials} had answers that did not say what they used, at most {untold['tokens']:,} tokens"
    return f"{tokens}, {_money(spent)}{more}{_more_money(untold)}"


def _money(spent: Mapping[str, Any]) -> str:
    if spent["simulated"]:
        return "nothing was spent: simulated"
    if spent["usd"] is None:
        return "cost unknown (no price in bench.toml)"
    return f"{_usd(spent['usd'])} at the prices given" if spent["usd"] else "nothing was spent: on this machine"


def _more_money(untold: Mapping[str, Any]) -> str:
    return f" or {_usd(untold['usd'])}" if untold["usd"] else ""


def _usd(amount: float) -> str:
    return "under 0.01 USD" if 0 < amount < 0.01 else f"{amount:,.2f} USD"

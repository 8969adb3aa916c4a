"""Chunks are not requests."""

from __future__ import annotations

import pandas as pd

from bench.analysis.claims.endpoints import EndpointCells, endpoints
from bench.analysis.claims.parts import HOLDS, REFUTED, UNDECIDED, Draft, count_text, make_claim, trial_list, untestable
from bench.analysis.tables import RunFrames
from bench.core.results.summary import Claim, ClaimPart, Summary

FEWEST = 10
"""Streamed trials, and blocking ones where a rate limit is read."""
CREATING = ("POST", "WS")
STATEMENT = "The chunks of a stream are not requests: a streamed call counts as one."
TEST = (
    "Exact, for each endpoint. On the simulator: the answers in its own log for the ids of a streamed trial are as "
    "many as the requests that were sent, however many events came. Elsewhere: x-ratelimit-remaining-requests falls by "
    "as much with a streamed request as with a blocking one (medians, in the order of time, one request at a time, "
    f"without the steps at which the window began anew), with {FEWEST} of each and more."
)


def claim(frames: RunFrames, summary: Summary) -> Claim:
    """Judge each endpoint."""
    drafts = [_part(endpoint, frames) for endpoint in endpoints(summary.cells)]
    return make_claim("requests", STATEMENT, TEST, drafts or [untestable("requests", "there is no cell")])


def _part(endpoint: EndpointCells, frames: RunFrames) -> Draft:
    if not endpoint.cells:
        return untestable(endpoint.name, endpoint.left_out)
    part = (_draft_by_log if endpoint.simulated else _draft_by_limit)(endpoint, frames)
    if not endpoint.left_out:
        return part
    before = part.part
    reason = f"{before.reason}; {endpoint.left_out}"
    return Draft(ClaimPart(before.subject, before.verdict, before.estimate, before.n, reason))


def _draft_by_log(endpoint: EndpointCells, frames: RunFrames) -> Draft:
    """Judge by the simulator's log of what it answered."""
    truth = frames.tables["truth"]
    if truth.empty:
        return untestable(endpoint.name, "the simulator's log is missing: the run was killed")
    trials = frames.trials
    mine = trials[trials["cell"].isin(endpoint.cells) & (trials["delivery"] == "streamed") & (trials["status"] == "ok")]
    attempts = frames.tables["attempts"]
    made = attempts["method"].isna() | attempts["method"].isin(CREATING)  # older files have no method
    sent = attempts[attempts["trial_id"].isin(mine.index) & made]
    sent = sent[~sent["path"].fillna("").astype(str).str.endswith("/cancel")]  # to cancel asks for no answer
    answers = sent["client_id"].map(truth.groupby("client_id")["server_id"].nunique(dropna=False)).fillna(0)
    by_trial = pd.DataFrame({"trial_id": sent["trial_id"], "sent": 1, "answers": answers}).groupby("trial_id").sum()
    if by_trial.empty:
        return untestable(endpoint.name, "no streamed request of an ok trial went through the client")
    other = by_trial.index[by_trial["sent"] != by_trial["answers"]]
    total, events = int(by_trial["answers"].sum()), int(mine["events"].fillna(0).sum())
    estimate = f"{count_text(total, 'answer')} to {count_text(len(sent), 'request')}, in {count_text(events, 'event')}"
    hidden = _retry_words(mine)
    if len(other):
        where = trial_list([int(number) for number in other])
        return Draft(ClaimPart(endpoint.name, REFUTED, estimate, len(by_trial), f"another number in {where}{hidden}"))
    if len(by_trial) < FEWEST:
        few = f"as many, but {count_text(len(by_trial), 'trial')} are fewer than {FEWEST}{hidden}"
        return Draft(ClaimPart(endpoint.name, UNDECIDED, estimate, len(by_trial), few))
    held = f"the simulator's log has one answer for each request{hidden}"
    return Draft(ClaimPart(endpoint.name, HOLDS, estimate, len(by_trial), held))


def _retry_words(trials: pd.DataFrame) -> str:
    """Say how many retries the SDK made on its own: they are requests, though no code asks for them."""
    more = int((trials["attempts"].fillna(0) - trials["requests"].fillna(0)).sum())
    return (
        f"; {count_text(more, 'hidden retry').replace('retrys', 'retries')} of the SDK counted as well" if more else ""
    )


def _draft_by_limit(endpoint: EndpointCells, frames: RunFrames) -> Draft:
    """Judge by what the server says is left of its limit."""
    attempts = frames.tables["attempts"]
    attempts = attempts[attempts["ratelimit_remaining"].notna() & attempts["trial_id"].notna()]
    needed = ["cell", "delivery", "target", "model", "requests", "attempts"]
    trials = pd.concat([frames.trials[needed], frames.aa[needed]])
    if not attempts["trial_id"].isin(trials.index[trials["cell"].isin(endpoint.cells)]).any():
        return untestable(endpoint.name, "the server sends no x-ratelimit-remaining-requests")
    mine = trials[trials["cell"].isin(endpoint.alone)]
    if mine.empty:
        return untestable(endpoint.name, "several requests at a time share the limit: --concurrency 1 tells them apart")
    sharing = trials[(trials["target"] == endpoint.target) & (trials["model"] == endpoint.model)]
    falls = _falls(attempts[attempts["trial_id"].isin(sharing.index)], mine)
    streamed, blocking = (falls[falls["delivery"] == name]["fall"] for name in ("streamed", "blocking"))
    n = min(len(streamed), len(blocking))
    if n < FEWEST:
        few = f"{len(streamed)} streamed and {len(blocking)} blocking requests, fewer than {FEWEST} of each"
        return Draft(ClaimPart(endpoint.name, UNDECIDED, "", n, few))
    s, b = float(streamed.median()), float(blocking.median())
    if not s and not b:
        return untestable(endpoint.name, "what the server says is left does not fall with a request")
    estimate = f"the limit falls by {s:g} streamed, {b:g} blocking"
    hidden = _retry_words(mine)
    if s == b:
        return Draft(
            ClaimPart(endpoint.name, HOLDS, estimate, n, f"a stream counts as much as a blocking call{hidden}")
        )
    side = "more" if s > b else "less"
    return Draft(ClaimPart(endpoint.name, REFUTED, estimate, n, f"a stream counts {side} than a blocking call{hidden}"))


def _falls(attempts: pd.DataFrame, mine: pd.DataFrame) -> pd.DataFrame:
    """Compute by how much each request of these trials lowered what was left; where it rose, the window began anew."""
    known = attempts.sort_values("t_start")
    fall = -known["ratelimit_remaining"].diff()
    delivery = mine["delivery"].reindex(known["trial_id"]).to_numpy()
    return pd.DataFrame({"fall": fall.to_numpy(), "delivery": delivery}).dropna().query("fall >= 0")

"""What docs/doctor.md says of requests, rules, checks and products, made of the code that decides."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill

from bench.doctor.advice import BUFFERS, NAGLE_MS, NEAR
from bench.doctor.conclude import EXIT_INCONCLUSIVE, EXIT_NOT, EXIT_STREAMING
from bench.doctor.diagnosis import MEANS, Fix, Verdict
from bench.doctor.endpoints import PING_TOKENS
from bench.doctor.probe.reference_stream import BEAT_MS, ENOUGH
from bench.doctor.probe.upstream import LEAVES_AFTER, RETRY_AFTER_S
from bench.doctor.products import PRODUCTS, Product
from bench.doctor.requests import APIS, LONGEST, MODES, PATHS, ROUNDS, make_questions
from bench.doctor.verdict import properties as checks
from bench.doctor.verdict.bursts import EVEN, LUMP, TOGETHER
from bench.doctor.verdict.growth import AGREE, GROWTH, LATE_SHARE, SCATTERS, STRAIGHT, STRAIGHT_GROWTH
from bench.doctor.verdict.votes import (
    FEWEST_DELTAS,
    FEWEST_IN_A_LUMP,
    FLOORS,
    LATE_MS,
    OFTEN,
    ONE_LUMP,
    ONE_PIECE,
    SELDOM,
    Vote,
)

RULES: Mapping[Verdict, str] = {
    "not offered": "Every request is refused with a 4xx other than 429; or more than half of the answers are sound "
    "streams that bring something else, such as a text instead of a call",
    "inconclusive": "Half of the requests or more get a 429, or have no end within `--deadline`; or no answer brings a "
    "piece that could be timed; or no other rule holds. The report says which",
    "not streaming": "Half of the answers or more are one JSON body",
    "broken": "Half of the answers or more are no whole event stream: another content type than `text/event-stream`, a "
    "frame that is no JSON, an `error` or `failed` at the end, no terminal event, a connection that ended inside the "
    "body, a 5xx",
    "blocked": f"As *fake*, all in one lump; and in each longest answer the headers come no sooner than "
    f"{ONE_LUMP:.0%} of the way to the first piece",
    "fake": "The first piece waits for the whole answer, by the rule of lengths below",
    "bursty": "Of the answers that can tell, two thirds or more say *bursty*",
    "streaming": "Of the answers that can tell, two thirds or more say *even*",
}
"""In the order in which they are asked; the last resort of `inconclusive` comes at the end."""
VOTES: Mapping[Vote, str] = {
    "short": f"Fewer than {FEWEST_DELTAS} pieces; or fewer than {FEWEST_IN_A_LUMP} all at once, as *lump* says. It "
    "does not count",
    "lump": "From the first piece to the last takes no longer than the shortest pause that counts; or a burst holds "
    f"{ONE_LUMP:.0%} of its pieces or more, and no pause before a lump counts; or at least "
    f"{ONE_PIECE} characters came in fewer than {LUMP} pieces. It counts in the longest answers only: that a shorter "
    "one fits into a buffer says nothing",
    "even": f"At most {SELDOM:.0%} of its pieces came in lumps, or the pause before a typical lump is {LATE_MS:g} ms "
    "or less",
    "unclear": "In lumps, but with no pause that counts: this machine may have made them",
    "bursty": f"{OFTEN:.0%} of its pieces or more came in lumps, {OFTEN:.0%} of the time or more went by before lumps, "
    "and the typical pause counts",
    "partly": "Lumps with pauses that count, but fewer of them than that",
}
"""In the order in which they are asked."""
CHECKS: Mapping[str, str] = {
    "sound streams": "Answers that were no whole streams, also where most of their kind were",
    "content type": "`text/event-stream` on every stream",
    "compression": "Are streams compressed? If they are, the longest text is asked for once more without, and the "
    "report says what that does",
    "keep-alive": "Nine in ten later requests find a connection that is open; what a new one costs; connections that "
    "were closed without a word",
    "HTTP version": "1.1; 1.0 is bad; with TLS also whether HTTP/2 is offered",
    "cache headers": "`Cache-Control: no-cache` or `no-store` on streams",
    "pings": "Comment lines while nothing is said, and the longest silence before a first piece",
    "sequence_number": "Of Responses: each event has its number, without gaps",
    "usage": "Streams end with their token counts",
    "[DONE]": "Of Chat: it is there",
    "tool arguments": "They come in more than one piece",
    "structured output": "It comes in more than one piece",
    "retry headers": "A 429 that came had a `Retry-After`",
}
BEHIND: Mapping[str, str] = {
    "HTTP version upstream": "Which HTTP the gateway speaks to its upstream",
    "keep-alive upstream": "Does it ask the upstream to close the connection after each answer?",
    "stream asked upstream": "Does it ask for a stream, or for the whole answer?",
    "cancel": "How long after a client left did the upstream stop? The longest text of each API is asked for once more "
    f"and left after {LEAVES_AFTER:.0%} of its time",
    "retry headers": f"Does a 429 come through with its `Retry-After: {RETRY_AFTER_S}`?",
}


def reference_markdown() -> str:
    """Write the generated part of docs/doctor.md."""
    parts = (_lateness, _requests, _verdicts, _lengths, _votes, _lumps, _checks, _products, _exits)
    return _with_space_before_percent("\n".join([*(line for part in parts for line in part()), ""]))


def _lateness() -> Iterator[str]:
    yield from ("## Its own lateness", "")
    yield _wrapped_text(
        "What looks like a pause may have been made on this machine. So a stream of known send times, an event each "
        f"{BEAT_MS} ms from a simulator of its own, is read all the while in the same process. How late its events "
        "come is the floor: the report prints the p90 and the most. A pause counts if it is longer than "
        f"{FLOORS} times that p90, and never below {LATE_MS:g} ms. Until there are {ENOUGH} beats, as a p90 takes "
        f"({ENOUGH * BEAT_MS / 1000:.1f} s), the latest counts as it. If that stream does not come, no pause counts, "
        "and nothing is called *streaming*, *bursty*, *fake* or *blocked*."
    )
    yield ""
    yield _wrapped_text(
        f"So a busy machine makes the doctor blunt: at a p90 of 3 ms it sees pauses from {3 * FLOORS} ms on, at 30 ms "
        f"from {30 * FLOORS} ms on. Where it says *inconclusive* for that reason, ask again from a quieter one."
    )
    yield ""


def _requests() -> Iterator[str]:
    every = make_questions(APIS, MODES)
    tokens = sum(one.tokens for one in every)
    yield from ("## What is asked", "")
    yield _wrapped_text(
        f"Preflight first: the list of models, and one request of at most {PING_TOKENS} tokens to each API. Then "
        f"these, all streamed, one at a time, {ROUNDS} rounds of them: {len(every)} requests and at most {tokens:,} "
        "output tokens to an endpoint with both APIs. `--dry-run` says it for yours and sends nothing."
    )
    yield from ("", "| API | text | tools | structured |", "| --- | --- | --- | --- |")
    for api in APIS:
        of_mode = [sorted({one.tokens for one in every if (one.api, one.mode) == (api, mode)}) for mode in MODES]
        yield f"| `{PATHS[api]}` | {' | '.join(f'{_and(lengths)} tokens' for lengths in of_mode)} |"
    yield ""
    yield _wrapped_text(
        f"`--output-tokens N` changes the longest, {LONGEST}, and the others with it. A text is always among them, "
        "because the other modes are held against it. With several endpoints every request goes to each of them, one "
        "right after the other in random order (`--seed`). In front of each prompt stands a number of its own, so "
        "that no cache knows it. A request that dies on a kept connection is made once more, and counted."
    )
    yield ""


def _verdicts() -> Iterator[str]:
    yield from ("## Verdicts", "")
    yield _wrapped_text(
        "One for each endpoint, API and mode. The rules are asked in this order, and the first that holds decides."
    )
    yield from ("", "| verdict | means | rule |", "| --- | --- | --- |")
    yield from (f"| `{verdict}` | {MEANS[verdict]} | {rule} |" for verdict, rule in RULES.items())
    yield ""


def _lengths() -> Iterator[str]:
    yield from ("### The rule of lengths", "")
    yield _wrapped_text(
        "A slow model begins late, whatever the length. An answer that is generated first begins the later the longer "
        "it is. Texts of three lengths are asked for in each round, and chance must not look like that:"
    )
    yield ""
    yield _wrapped_text(
        "- Where the longest answers come all at once, in every round: the last piece of the longest comes later than "
        "that of the shortest by more than the shortest pause that counts; its first piece comes later too, by "
        f"{GROWTH:.0%} of that or more, and after {LATE_SHARE:.0%} of its whole time or more; and the first pieces "
        "come in the order of the lengths."
    )
    yield _wrapped_text(
        "- Where they come at a pace, in every round: the first piece of the longest comes later than that of the "
        f"shortest by more than the shortest pause that counts, and by {STRAIGHT_GROWTH:.0%} or more of what the whole "
        f"takes longer; and that of the middle length lies within {STRAIGHT:.0%} of the growth of the straight line by "
        "characters."
    )
    yield _wrapped_text(
        f"- There are two rounds, and they agree: the first pieces of one length differ by {AGREE:.0%} of the growth "
        "at most."
    )
    yield _wrapped_text(
        "- Where the longest answers are *bursty*, they are that: a large buffer makes first pieces late by length too."
    )
    yield ""
    yield _wrapped_text(
        f"Where the first piece of the longest comes later by {GROWTH:.0%} and after {LATE_SHARE:.0%} in every round, "
        "and the rest does not hold, it is *inconclusive*, never *streaming*."
    )
    yield ""
    yield _wrapped_text(
        "Calls and structured output have one length. They are *fake* if they come all at once, or if the text of the "
        f"same API is replayed at a pace, and the first piece comes after {OFTEN:.0%} or more of the time from where "
        f"a text would begin to the last piece, and later than a text's by more than {SCATTERS} times what those "
        "scatter."
    )
    yield ""


def _votes() -> Iterator[str]:
    yield from ("### What one answer says", "")
    yield _wrapped_text(
        f"Reads closer together than {TOGETHER:.0%} of the mean time between pieces are one burst; a burst of {LUMP} "
        f"pieces or more is a lump. Servers that decode speculatively send two or three in a step: no lump. The first "
        "of these that holds:"
    )
    yield from ("", "| it says | when |", "| --- | --- |")
    yield from (f"| *{vote}* | {when} |" for vote, when in VOTES.items())
    yield ""


def _lumps() -> Iterator[str]:
    sizes = _and([buffer // 1024 for buffer in BUFFERS])
    yield from ("### What ends a lump", "")
    yield _wrapped_text(
        f"Of the lumps of all answers but the first and last burst of each. **Size**: half of them or more end inside "
        f"an event, and their bytes vary by at most {EVEN:.0%} (standard deviation over mean, without the tenth that "
        f"differs most); or the bytes vary that little and less than half as much as the period. That is a buffer. "
        f"**Time**: the period varies by at most {EVEN:.0%} and less than half as much as the bytes, and under a tenth "
        f"end inside an event. A period of {NAGLE_MS[0]:g} to {NAGLE_MS[1]:g} ms is then how Nagle's algorithm waits "
        f"for a delayed acknowledgement. Else it is not known. A size within {NEAR:.0%} of {sizes} KiB is called that."
    )
    yield ""


def _checks() -> Iterator[str]:
    yield from ("## Checks", "")
    yield _wrapped_text(
        "Beside the verdicts, for each endpoint: `BAD`, a note, *not seen*, or in order. They change no verdict and, "
        "but for *sound streams*, no exit code."
    )
    yield from ("", "| check | what is looked at |", "| --- | --- |")
    yield from (f"| {name} | {CHECKS[name]} |" for name in checks.CHECKS)
    yield from (
        "",
        "With `--sim-behind` also, by the simulator's own log:",
        "",
        "| check | what is looked at |",
        "| --- | --- |",
    )
    yield from (f"| {name} | {said} |" for name, said in BEHIND.items())
    yield ""


def _products() -> Iterator[str]:
    yield from ("## Products it knows", "")
    yield _wrapped_text(
        "By a header of the answer; the outermost hides those behind it, and a name in a header is a lead, no proof. "
        "The lines are what the report advises."
    )
    yield from ("", "| product | known by | what it does to streams | against buffering | against compression |")
    yield "| --- | --- | --- | --- | --- |"
    yield from (_product(one) for one in PRODUCTS)
    yield ""


def _product(one: Product) -> str:
    known = f"`{one.header}`" if one.pattern == "." else f"`{one.header}`: {_names(one.pattern)}"
    more = _fix(one.uncompress) if one.uncompress else ""
    return f"| {one.name} | {known} | {one.habit} | {_fix(one.unbuffer)} | {more} |"


def _names(pattern: str) -> str:
    """List the words of a regular expression, each in backquotes."""
    return ", ".join(f"`{word.partition('(')[0]}`" for word in pattern.split("|") if word)


def _fix(fix: Fix) -> str:
    lines = "<br>".join(f"`{line.strip()}`".replace("|", r"\|") for line in fix.lines)
    return f"{fix.where}: {lines or fix.note}"


def _exits() -> Iterator[str]:
    yield from ("## Exit codes", "", "| code | |", "| --- | --- |")
    yield f"| {EXIT_STREAMING} | All that is offered is *streaming*, and every answer was sound |"
    yield f"| {EXIT_NOT} | Something is not, or an answer was not sound |"
    yield "| 2 | A mistake in the options, or no answer at all |"
    yield f"| {EXIT_INCONCLUSIVE} | Nothing bad was seen, and not all could be told; or nothing is offered |"
    yield "| 130 | Interrupted; what was examined until then is shown |"


def _wrapped_text(text: str) -> str:
    """Wrap a paragraph or an item of a list at 120 columns."""
    return fill(
        _with_space_before_percent(text),
        120,
        subsequent_indent="  " if text.startswith("- ") else "",
        break_long_words=False,
    )


def _with_space_before_percent(text: str) -> str:
    """Put a space between a number and its percent sign."""
    return re.sub(r"(?<=\d)%", " %", text)


def _and(values: Sequence[int]) -> str:
    *most, last = map(str, values)
    return f"{', '.join(most)} and {last}" if most else last

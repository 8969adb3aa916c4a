"""Responses kept by id: to be read again, followed up by `previous_response_id`, resumed, cancelled, deleted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from bench.simulator.errors import ApiError
from bench.simulator.store.background import Background, response_in

_MOST_RESPONSES = 2000
_MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class FinishedResponse:
    """A response that was sent to its end while its client waited."""

    items: Sequence[Any]
    """The input items that it answered, those of earlier responses included."""
    body: bytes
    """The frame of its last event, or the body of the blocking answer."""
    streamed: bool

    @property
    def size(self) -> int:
        """Bytes, about."""
        return len(self.body) + input_size(self.items)

    def response(self) -> dict[str, Any]:
        """Return the Response object."""
        response: dict[str, Any] = response_in(self.body) if self.streamed else orjson.loads(self.body)
        return response


StoredResponse = FinishedResponse | Background


class Store:
    """The latest responses by id: at most 2,000, and about 64 MiB."""

    def __init__(self, *, most_responses: int = _MOST_RESPONSES, most_bytes: int = _MOST_BYTES) -> None:
        self._most_responses, self._most_bytes = most_responses, most_bytes
        self._kept: OrderedDict[str, tuple[StoredResponse, int]] = OrderedDict()
        self._bytes = 0

    def keep(self, name: str, response: StoredResponse) -> None:
        """Keep one; the oldest go where there is no room. The latest stays, however large."""
        size = response.size
        self._kept[name] = response, size
        self._bytes += size
        while len(self._kept) > 1 and (len(self._kept) > self._most_responses or self._bytes > self._most_bytes):
            self._forget(next(iter(self._kept)))

    def __contains__(self, name: str) -> bool:
        return name in self._kept

    def find(self, name: str) -> StoredResponse:
        """Return the response of that id. Raise the 404 of OpenAI."""
        if name not in self:
            raise ApiError(404, f"Response with id '{name}' not found.", param="id")
        return self._kept[name][0]

    def background(self, name: str, otherwise: str) -> Background:
        """Return the background response of that id; raise a 400 that says `otherwise` for another one."""
        found = self.find(name)
        if not isinstance(found, Background):
            raise ApiError(400, otherwise, param="id")
        return found

    def delete(self, name: str) -> None:
        """Forget one, and end it if it is still being made. Raises the 404 of OpenAI."""
        found = self.find(name)
        self._forget(name)
        if isinstance(found, Background):
            found.cancel()

    def earlier(self, name: str) -> tuple[Sequence[Any], list[dict[str, Any]]]:
        """Return what a follow-up of that response begins with: its input items, and its output as JSON.

        Raises a 400 for an unknown id, as OpenAI does, and for a response that is still being made.
        """
        try:
            found = self.find(name)
        except ApiError as error:
            raise _no_previous(f"Previous response with id '{name}' not found.", "not_found") from error
        response = found.response()
        if response["status"] in {"queued", "in_progress"}:
            raise _no_previous(f"Previous response with id '{name}' is still {response['status']}.", "not_finished")
        return found.items, response["output"]

    def _forget(self, name: str) -> None:
        _, size = self._kept.pop(name)
        self._bytes -= size


def input_size(items: Sequence[Any]) -> int:
    """Bytes of input items, about."""
    return sum(len(item.text) for item in items)


def _no_previous(message: str, what: str) -> ApiError:
    return ApiError(400, message, param="previous_response_id", code=f"previous_response_{what}")

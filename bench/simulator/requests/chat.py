"""What `POST /v1/chat/completions` takes: body → `ChatRequest` and the same question as the Responses API asks it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from bench.simulator.errors import ApiError, not_supported
from bench.simulator.requests.conversation import StrictModel
from bench.simulator.requests.responses import (
    ResponsesRequest,
    as_tools,
    check_model,
    check_schemas,
    check_tool_choice,
    json_object,
    refusal,
)
from bench.simulator.timing.profiles import MODELS

_UNSUPPORTED = {
    "audio": "audio",
    "functions": "functions: use 'tools'",
    "function_call": "function_call: use 'tool_choice'",
    "logprobs": "log probabilities",
    "moderation": "moderation",
    "prediction": "predicted outputs",
    "stop": "stop sequences",
    "web_search_options": "web search",
}
"""Parameters of the API that would change the answer in a way the simulator does not know."""


class _Part(StrictModel):
    type: Literal["text", "refusal"]
    text: str


def _as_part(part: object) -> object:
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(kind, str) and kind not in {"text", "refusal"}:
        raise not_supported(f"content of type {kind!r}", "messages")
    if isinstance(part, dict) and kind == "refusal":
        return {"type": kind, "text": part.get("refusal")}
    return part


def _as_parts(content: object) -> object:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return list(map(_as_part, content)) if isinstance(content, list) else content


class _CallBody(StrictModel):
    name: str
    arguments: str


class _Call(StrictModel):
    id: str
    type: Literal["function"] = "function"
    function: _CallBody


class _Message(StrictModel):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[list[_Part], BeforeValidator(_as_parts)] | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    refusal: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> _Message:
        if self.role == "tool" and self.tool_call_id is None:
            raise ValueError("a tool message needs a tool_call_id")
        if self.role != "assistant" and self.content is None:
            raise ValueError(f"a {self.role} message needs content")
        return self

    def items(self) -> list[dict[str, Any]]:
        """Return the items of a Responses input that say the same."""
        text = "".join(part.text for part in self.content or ()) + (self.refusal or "")
        if self.role == "tool":
            return [{"type": "function_call_output", "call_id": self.tool_call_id, "output": text}]
        calls = [
            {"type": "function_call", "call_id": call.id, **call.function.model_dump()}
            for call in self.tool_calls or ()
        ]
        said = [{"role": self.role, "content": text}] if text or not calls else []
        return [*said, *calls]


class _Function(StrictModel):
    name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
    parameters: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class _Tool(StrictModel):
    type: Literal["function"]
    function: _Function


class _Schema(StrictModel):
    name: str
    json_schema: dict[str, Any] = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None


class _Format(StrictModel):
    type: Literal["text", "json_schema", "json_object"] = "text"
    json_schema: _Schema | None = None

    @model_validator(mode="after")
    def _complete(self) -> _Format:
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError("json_schema needs a name and a schema")
        return self


class _StreamOptions(StrictModel):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class _IgnoredFields(StrictModel):
    """Parameters that are part of the API, checked no further, and without effect here."""

    frequency_penalty: float | None = None
    logit_bias: dict[str, int] | None = None
    modalities: list[Literal["text"]] | None = None
    n: Literal[1] | None = None
    parallel_tool_calls: bool | None = None
    presence_penalty: float | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: str | None = None
    reasoning_effort: str | None = None
    safety_identifier: str | None = None
    seed: int | None = None
    service_tier: str | None = None
    store: bool | None = None
    top_logprobs: int | None = None
    user: str | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ChatRequest(_IgnoredFields):
    """The body of `POST /v1/chat/completions`."""

    model_config = ConfigDict(extra="forbid")

    model: str
    messages: list[_Message] = Field(min_length=1)
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    metadata: dict[str, str] | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    tools: Annotated[list[_Tool], BeforeValidator(as_tools)] | None = None
    tool_choice: Any = "auto"
    response_format: _Format = _Format()

    def as_responses(self) -> dict[str, Any]:
        """Return the body of the Responses request that asks the same."""
        values = {
            "model": self.model,
            "input": [item for message in self.messages for item in message.items()],
            "stream": self.stream,
            "metadata": self.metadata,
            "max_output_tokens": self.max_completion_tokens or self.max_tokens,
            "tools": [{"type": "function", **tool.function.model_dump()} for tool in self.tools or ()],
            "tool_choice": _flat(self.tool_choice),
            "text": {"format": self._format()},
        }
        return {name: value for name, value in values.items() if value is not None}

    def _format(self) -> dict[str, Any]:
        asked = self.response_format
        inner = asked.json_schema.model_dump(by_alias=True) if asked.json_schema else {}
        return {"type": asked.type, **inner}


def _flat(choice: object) -> object:
    """`{"type": "function", "function": {"name": …}}` → `{"type": "function", "name": …}`."""
    if not isinstance(choice, Mapping):
        return choice
    function = choice.get("function")
    if choice.get("type") == "function" and not isinstance(function, Mapping):
        message = "Missing required parameter: 'tool_choice.function'."
        raise ApiError(400, message, param="tool_choice.function", code="missing_required_parameter")
    return {"type": choice.get("type"), "name": function.get("name") if isinstance(function, Mapping) else None}


def parse_chat(body: bytes, models: Collection[str] = MODELS) -> tuple[ChatRequest, ResponsesRequest]:
    """Parse a request for one of the models; return it and its question as all APIs share it. Raise `ApiError`."""
    values = json_object(body)
    for name, what in _UNSUPPORTED.items():
        if values.get(name):
            raise not_supported(what, name)
    if values.get("stream_options") and not values.get("stream"):
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise ApiError(400, message, param="stream_options")
    try:
        asked = ChatRequest.model_validate({k: v for k, v in values.items() if k not in _UNSUPPORTED})
        question = ResponsesRequest.model_validate(asked.as_responses())
    except ValidationError as error:
        raise refusal(error) from error
    check_model(question.model, models)
    check_tool_choice(question)
    check_schemas(question, "response_format", "tools[{}].function.parameters")
    return asked, question

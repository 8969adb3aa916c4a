"""What `POST /v1/responses` takes: body → `ResponsesRequest`, or the refusal that OpenAI would send."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from bench.simulator.control import FIELD
from bench.simulator.errors import ApiError, invalid_schema, not_supported
from bench.simulator.json_schema.strict_mode import SchemaError, check_strict
from bench.simulator.requests.conversation import TYPES, InputItem, StrictModel
from bench.simulator.timing.profiles import MODELS

_UNSUPPORTED = {
    "conversation": "conversations",
    "prompt": "stored prompts",
    "context_management": "context management",
    "moderation": "moderation",
}
"""Parameters of the API that would change the answer in a way the simulator does not know."""


def _as_items(value: object) -> object:
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


class FunctionTool(StrictModel):
    """A function that the answer may call."""

    type: Literal["function"]
    name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
    parameters: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


def as_tools(value: object) -> object:
    """Raise the 400 for a tool that is no function."""
    for tool in value if isinstance(value, list) else []:
        kind = tool.get("type") if isinstance(tool, dict) else None
        if isinstance(kind, str) and kind != "function":
            raise not_supported(f"tools of type {kind!r}", "tools")
    return value


class Format(StrictModel):
    """`text.format`: what the text of the answer must be."""

    type: Literal["text", "json_schema", "json_object"] = "text"
    name: str | None = None
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    description: str | None = None
    strict: bool | None = None

    @model_validator(mode="after")
    def _complete(self) -> Format:
        if self.type == "json_schema" and (self.name is None or self.json_schema is None):
            raise ValueError("json_schema needs a name and a schema")
        return self


class _Text(StrictModel):
    format: Format = Format()
    verbosity: Literal["low", "medium", "high"] | None = None


class _StreamOptions(StrictModel):
    include_obfuscation: bool = False


class _IgnoredFields(StrictModel):
    """Parameters that are part of the API, checked no further, and without effect here."""

    include: list[str] | None = None
    max_tool_calls: int | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    prompt_cache_retention: str | None = None
    reasoning: dict[str, Any] | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    stream_options: _StreamOptions | None = None
    top_logprobs: int | None = None
    truncation: Literal["auto", "disabled"] | None = None
    user: str | None = None


_Key = Annotated[str, StringConstraints(max_length=64)]


def _short(metadata: dict[str, str]) -> dict[str, str]:
    """OpenAI's limit on values; the control field is no metadata of the user's."""
    for key, value in metadata.items():
        if key != FIELD and len(value) > _LONGEST_VALUE:
            raise PydanticCustomError("too_long", "'{key}' has more than 512 characters", {"key": key})
    return metadata


_Metadata = Annotated[dict[_Key, str], Field(max_length=16), AfterValidator(_short)]


class ResponsesRequest(_IgnoredFields):
    """The body of `POST /v1/responses`."""

    model_config = ConfigDict(extra="forbid")

    model: str
    input: Annotated[list[InputItem], BeforeValidator(_as_items)] = Field(min_length=1)
    instructions: str | None = None
    stream: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    metadata: _Metadata | None = None
    max_output_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    parallel_tool_calls: bool | None = None
    tools: Annotated[list[FunctionTool], BeforeValidator(as_tools)] = Field(default_factory=list)
    tool_choice: Any = "auto"
    text: _Text = _Text()

    @property
    def echoed_metadata(self) -> dict[str, str]:
        """The metadata that the response repeats: all that OpenAI would allow, so no long script."""
        return {key: value for key, value in (self.metadata or {}).items() if len(value) <= _LONGEST_VALUE}

    @property
    def function(self) -> str | None:
        """Name of the function that `tool_choice` forces."""
        return self.tool_choice["name"] if isinstance(self.tool_choice, dict) else None


def parse_request(body: bytes, models: Collection[str] = MODELS) -> ResponsesRequest:
    """Parse a request for one of the models. Raise `ApiError` for what OpenAI would refuse."""
    values = json_object(body)
    for name, what in _UNSUPPORTED.items():
        if values.get(name):
            raise not_supported(what, name)
    try:
        request = ResponsesRequest.model_validate({k: v for k, v in values.items() if k not in _UNSUPPORTED})
    except ValidationError as error:
        raise refusal(error) from error
    check_model(request.model, models)
    check_tool_choice(request)
    check_schemas(request, "text.format.schema", "tools[{}].parameters")
    if request.background and request.store is False:
        raise ApiError(400, "Background responses are stored: 'store' cannot be false.", param="store")
    return request


def check_model(name: str, models: Collection[str] = MODELS) -> None:
    """Raise the 404 of OpenAI for a model that is not served."""
    if name not in models:
        message = f"The model '{name}' does not exist; the simulator has {', '.join(models)}."
        raise ApiError(404, message, param="model", code="model_not_found")


def json_object(body: bytes) -> dict[str, Any]:
    """Parse a body as a JSON object. Raise `ApiError` for anything else."""
    try:
        values = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ApiError(400, f"The body of your request is not valid JSON: {error}.", code="invalid_json") from error
    if not isinstance(values, dict):
        raise ApiError(400, "The body of your request must be a JSON object.", code="invalid_type")
    return values


_LONGEST_VALUE = 512
_CODES = {"missing": "missing_required_parameter", "extra_forbidden": "unknown_parameter"}


def refusal(error: ValidationError) -> ApiError:
    """Return the 400 for the first problem, worded as OpenAI does."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = [part for number, part in enumerate(first["loc"]) if not (number == 2 and part in TYPES)]
    param = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    texts = {
        "missing": f"Missing required parameter: '{param}'.",
        "extra_forbidden": f"Unknown parameter: '{param}'.",
    }
    kind = first["type"]
    default = "invalid_type" if kind.endswith("_type") else "invalid_value"
    message = texts.get(kind, f"Invalid '{param}': {first['msg']}.")
    return ApiError(400, message, param=param, code=_CODES.get(kind, default))


def check_tool_choice(request: ResponsesRequest) -> None:
    """Raise the 400 of OpenAI for a choice that does not fit the tools."""
    choice = request.tool_choice
    if isinstance(choice, dict):
        if choice.get("type") != "function":
            raise not_supported(f"tool_choice of type {choice.get('type')!r}", "tool_choice")
        if choice.get("name") not in [tool.name for tool in request.tools]:
            raise _bad_choice(f"Tool choice '{choice.get('name')}' not found in 'tools' parameter.")
    elif choice not in ("auto", "none", "required"):
        raise _bad_choice("Invalid 'tool_choice': use auto, none, required or a function.")
    elif choice == "required" and not request.tools:
        raise _bad_choice("Tool choice 'required' must be specified with 'tools' parameter.")


def _bad_choice(message: str) -> ApiError:
    return ApiError(400, message, param="tool_choice", code="invalid_value")


def check_schemas(request: ResponsesRequest, format_param: str, tool_param: str) -> None:
    """Raise the 400 of OpenAI for a schema with `strict: true` that strict mode does not take."""
    found = request.text.format
    schemas = [(f"response_format '{found.name}'", format_param, found.json_schema if found.strict else None)]
    for number, tool in enumerate(request.tools):
        schemas.append((f"function '{tool.name}'", tool_param.format(number), tool.parameters if tool.strict else None))
    for where, param, schema in schemas:
        try:
            if schema is not None:
                check_strict(schema)
        except SchemaError as error:
            raise invalid_schema(where, error, param) from error

"""Refusals in OpenAI's shape."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """A request the simulator refuses: HTTP status and the four fields of OpenAI's error object."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = error_body(status, message, param=param, code=code)


def error_body(status: int, message: str, *, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """OpenAI's error object for an HTTP status."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def not_supported(what: str, param: str) -> ApiError:
    """Return the 400 for what is valid at OpenAI, but nothing that this server does."""
    return ApiError(400, f"The simulator does not do {what}.", param=param, code="unsupported_by_simulator")


def invalid_schema(where: str, reason: object, param: str) -> ApiError:
    """Return the 400 of OpenAI for the schema of `response_format 'NAME'` or `function 'NAME'`."""
    code = "invalid_function_parameters" if where.startswith("function") else "invalid_json_schema"
    return ApiError(400, f"Invalid schema for {where}: {reason}.", param=param, code=code)

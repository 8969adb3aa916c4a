"""An endpoint: where requests go, with which key, and what a token costs there."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bench.core.errors import BenchError

SIM = "sim"
OPENAI = "openai"
DUMMY_KEY = "no-key-needed"


@dataclass(frozen=True, kw_only=True)
class Price:
    """US dollars per million tokens."""

    input: float
    output: float


@dataclass(frozen=True, kw_only=True)
class Target:
    """One endpoint. Secrets are named, never held: `api_key_env` is the variable, `headers` may say `${VARIABLE}`."""

    name: str
    base_url: str | None
    """None for `sim`: the embedded simulator has no address until it is started."""
    api_key_env: str | None = None
    models: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    extra_body: Mapping[str, object] = field(default_factory=dict)
    price: Price | None = None
    lacks: Sequence[str] = ()
    """Capabilities it does not have, in the words of `Scenario.needs`; and `responses` or `chat`, once preflight has
    found no such route."""
    source: str = "built in"
    """Where it was defined: for `bench list` and error messages."""

    @property
    def simulated(self) -> bool:
        """True for the embedded simulator."""
        return self.name == SIM

    @property
    def host(self) -> str:
        """Host and port as the user would recognise them, without path or credentials."""
        if self.simulated or self.base_url is None:
            return "embedded simulator"
        parts = urlsplit(self.base_url)
        host = parts.hostname or "?"
        host = f"[{host}]" if ":" in host else host
        return f"{host}:{parts.port}" if parts.port else host

    @property
    def free(self) -> bool:
        """True for the simulator, and for this machine's own loopback without a price: nothing is spent there."""
        # with a price it is a gateway, to something that costs
        costs = self.price is not None and self.price.input + self.price.output > 0
        return self.simulated or (is_loopback(urlsplit(self.base_url or "").hostname or "") and not costs)


def is_loopback(host: str) -> bool:
    """Return True if the host name means this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


BUILT_IN = (
    Target(name=SIM, base_url=None, models=("sim-1",)),
    Target(
        name=OPENAI,
        base_url="https://api.openai.com/v1",
        api_key_env="OPENAI_API_KEY",
        models=(),
    ),
)
"""The two targets that no project file may redefine."""
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}?")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_UNSENDABLE = re.compile(r"[^\t\x20-\x7e]")
_SENSITIVE_HEADER = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)


def check_base_url(url: str, where: str) -> str:
    """Return the URL without trailing slashes. Raises unless it is http(s) with a host and nothing secret inside."""
    try:
        parts = urlsplit(url.strip())
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # urlsplit for brackets, .port for what is no port
        sound = False
    if not sound or re.search(r"\s", url.strip()):
        raise BenchError(f"{where}: not a base URL; it looks like https://host/v1 or http://127.0.0.1:8000/v1")
    if "@" in parts.netloc:
        raise BenchError(
            f"{where}: user and password inside a URL would land in files; remove them "
            "and send a header instead: -H 'Authorization: Basic ${VARIABLE}'"
        )
    if parts.query or parts.fragment:
        raise BenchError(f"{where}: a base URL ends with its path; remove what follows '?' or '#'")
    return url.strip().rstrip("/")


def check_variable(name: str, where: str) -> str:
    """Return the name of an environment variable. The error never repeats the text itself: it may be a key."""
    if not _VARIABLE_NAME.fullmatch(name):
        raise BenchError(
            f"{where}: not the name of an environment variable; export the key and give the variable's name "
            "(for instance OPENAI_API_KEY)"
        )
    return name


def parse_header(text: str) -> tuple[str, str]:
    """Parse `Name: value`; the value may say `${VARIABLE}`, which is looked up when the header is sent."""
    name, colon, value = text.partition(":")
    if not colon or not _HEADER_NAME.fullmatch(name.strip()):
        raise BenchError("-H/--header: expected 'Name: value'")
    return check_header(name.strip(), value.strip(), "-H/--header")


def check_header(name: str, value: str, where: str) -> tuple[str, str]:
    """Return (name, value). Raises unless the header can be sent and its placeholders name variables."""
    if not _HEADER_NAME.fullmatch(name):
        raise BenchError(f"{where}: {name!r} is not the name of a header")
    if _UNSENDABLE.search(value):
        raise BenchError(f"{where}: the value of {name} holds a character that no header may carry")
    for variable in _PLACEHOLDER.finditer(value):
        if not (variable[0].endswith("}") and _VARIABLE_NAME.fullmatch(variable[1])):
            raise BenchError(f"{where}: the value of {name} has a '${{' that is not ${{VARIABLE}}")
    return name, value


def is_sensitive(name: str) -> bool:
    """Return True if a header of this name usually carries a secret."""
    return bool(_SENSITIVE_HEADER.search(name))


def key_for(target: Target, environ: Mapping[str, str]) -> str:
    """Return the key to send to a target: what its variable holds, or a dummy where it names none."""
    if target.api_key_env is None:
        return DUMMY_KEY
    advice = "export it, or name another variable with --api-key-env"
    return _lookup(target.api_key_env, f"target {target.name}", advice, environ)


def expanded_headers(target: Target, environ: Mapping[str, str]) -> dict[str, str]:
    """Replace every `${VARIABLE}` in the target's headers by its value. The result is sent, never stored."""
    return {_spelling(name): _expand(name, value, target, environ) for name, value in target.headers.items()}


def secrets_of(target: Target, environ: Mapping[str, str]) -> set[str]:
    """Return all that may be secret about a target: its key, the values of its headers and of their variables."""
    variables = {match[1] for value in target.headers.values() for match in _PLACEHOLDER.finditer(value)}
    key = set() if target.api_key_env is None else {key_for(target, environ)}
    return key | set(expanded_headers(target, environ).values()) | {environ[name] for name in variables}


def _expand(name: str, value: str, target: Target, environ: Mapping[str, str]) -> str:
    where = f"header {name} of target {target.name}"
    return _PLACEHOLDER.sub(lambda match: _lookup(match[1], where, "export it", environ), value)


def _lookup(variable: str, where: str, advice: str, environ: Mapping[str, str]) -> str:
    value = environ.get(variable, "")
    if not value:
        raise BenchError(f"{variable} is not set ({where}): {advice}")
    if _UNSENDABLE.search(value) or value != value.strip():
        raise BenchError(f"{variable} ({where}) holds a space, a line break or a character no header may carry: fix it")
    return value


def _spelling(name: str) -> str:
    # The SDK sets `Authorization` itself; only the same spelling replaces it, another one would be sent beside it.
    return "Authorization" if name.lower() == "authorization" else name


FREE = Price(input=0, output=0)

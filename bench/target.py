"""An endpoint: where requests go, with which key, and what a token costs there."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

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
        """Is this the embedded simulator?"""
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
        """The simulator, or this machine's own loopback without a price: nothing is spent there.

        With a price it is a gateway, to something that costs.
        """
        costs = self.price is not None and self.price.input + self.price.output > 0
        return self.simulated or (is_loopback(urlsplit(self.base_url or "").hostname or "") and not costs)


def is_loopback(host: str) -> bool:
    """Is this host name this machine?"""
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

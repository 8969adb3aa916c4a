"""Configurations that put a gateway in front of `bench serve`, for `bench doctor --sim-behind`."""

from __future__ import annotations

from collections.abc import Mapping
from string import Template

from bench.core.errors import BenchError

_LOOPBACK = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104
_LAST_PORT = 65535
_HEAD = """\
# $gateway in front of the simulator.${elsewhere}
#
# The simulator:  bench serve --host $host --port $port
# The gateway:    $start
# Then ask it:    bench doctor --sim-behind http://127.0.0.1:$listen/v1 --sim http://$address/v1
"""
_ELSEWHERE = " On another machine: put the simulator's name in place of $name."
_NGINX = """
daemon off;
pid nginx.pid;
error_log stderr;

events {}

http {
    access_log off;
    client_body_temp_path client_body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;

    server {
        listen 127.0.0.1:$listen;

        location / {
            proxy_pass http://$address;

            # Your own settings go here: they are what is examined. `gzip` for text/event-stream holds a stream back,
            # and so may a buffer. What lets it through, on connections that are kept:
            # proxy_buffering off;
            # proxy_http_version 1.1;
            # proxy_set_header Connection "";
        }
    }
}
"""
_LITELLM = """
model_list:
  - model_name: sim-1
    litellm_params:
      model: openai/sim-1
      api_base: http://$address/v1
      api_key: none

general_settings:
  # Any key will do: it listens on this machine alone. Newer versions do not start without a key of their own or this.
  dangerously_permit_weak_or_unset_master_key: true
"""
_ENVOY = """
static_resources:
  listeners:
  - name: gateway
    address:
      socket_address: {address: 127.0.0.1, port_value: $listen}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: gateway
          route_config:
            virtual_hosts:
            - name: simulator
              domains: ["*"]
              routes:
              - match: {prefix: /}
                # As it is, an answer ends after 15 s. With `timeout: 0s` beside the cluster it may take longer.
                route: {cluster: simulator}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: simulator
    type: STRICT_DNS
    load_assignment:
      cluster_name: simulator
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address: {address: "$name", port_value: $port}
"""
_BODIES: Mapping[str, str] = {"nginx": _NGINX, "litellm": _LITELLM, "envoy": _ENVOY}
_STARTS: Mapping[str, str] = {
    "nginx": "save this as gateway/nginx.conf, then  nginx -e stderr -p gateway -c nginx.conf",
    "litellm": "save this as litellm.yaml, then  litellm --config litellm.yaml --host 127.0.0.1 --port $listen",
    "envoy": "save this as envoy.yaml, then  envoy -c envoy.yaml",
}
GATEWAYS = tuple(_BODIES)


def config_for(gateway: str, host: str, port: int) -> str:
    """Return the text of the configuration. The gateway listens at the simulator's port + 1, on loopback.

    Raises `BenchError` for port 0: nobody knows yet which one that will be.
    """
    if port == 0:
        raise BenchError("--print-config with --port 0: name the port that the simulator will have, as --port 8080")
    name = _LOOPBACK.get(host, host)
    values = {
        "gateway": gateway,
        "host": host,
        "port": port,
        "name": name,
        "address": f"[{name}]:{port}" if ":" in name else f"{name}:{port}",
        "listen": port + 1 if port < _LAST_PORT else port - 1,
    }
    head = Template(_HEAD).safe_substitute(elsewhere=_ELSEWHERE if host in _LOOPBACK else "", start=_STARTS[gateway])
    return Template(head + _BODIES[gateway]).substitute(values)

"""A table, to be added to: products that may hold a stream up, the headers they leave, and the line that stops them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.doctor.diagnosis import Fix


@dataclass(frozen=True, kw_only=True)
class Product:
    """A server, proxy or service that is known to hold streams up where it is so configured."""

    name: str
    header: str
    """Lower case."""
    pattern: str
    """Found in that header's value (a regular expression, any case)."""
    habit: str
    """What the product does to streams, as a sentence."""
    unbuffer: Fix
    uncompress: Fix | None = None


PRODUCTS: Sequence[Product] = (
    Product(
        name="nginx",
        header="server",
        pattern=r"nginx|openresty|tengine",
        habit="nginx collects an upstream's answer in buffers of 4 or 8 KiB (proxy_buffering, on unless it is turned "
        "off) and hands each on when it is full, where the upstream's body comes without chunks, as it does over the "
        "HTTP/1.0 that nginx speaks to upstreams unless told otherwise.",
        unbuffer=Fix(
            where="nginx, in the location of the API",
            lines=(
                "proxy_buffering off;",
                "proxy_http_version 1.1;",
                'proxy_set_header Connection "";',
            ),
            note="The first line is the cure; the others let the upstream use chunks and keep its connections open.",
        ),
        uncompress=Fix(
            where="nginx, in the location of the API",
            lines=("gzip off;",),
            note="Or take text/event-stream out of gzip_types.",
        ),
    ),
    Product(
        name="Apache httpd",
        header="server",
        pattern=r"apache(?!-coyote)",
        habit="Apache's mod_proxy flushes when its buffer is full, and mod_deflate when its block is.",
        unbuffer=Fix(
            where="Apache, at the ProxyPass of the API",
            lines=('ProxyPass "/v1" "http://UPSTREAM/v1" flushpackets=on',),
        ),
        uncompress=Fix(where="Apache, for the API", lines=('SetEnvIf Request_URI "^/v1" no-gzip=1',)),
    ),
    Product(
        name="Envoy",
        header="server",
        pattern=r"envoy",
        habit="Envoy passes streams on, unless a filter that wants whole bodies is in the chain: buffer, compressor, "
        "ext_proc in BUFFERED mode, or Lua that reads body().",
        unbuffer=Fix(
            where="Envoy, in typed_per_filter_config of the API's route",
            lines=(
                "envoy.filters.http.buffer:",
                '  "@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute',
                "  disabled: true",
            ),
            note="Likewise for ext_proc: response_body_mode: STREAMED.",
        ),
        uncompress=Fix(
            where="Envoy, in the compressor filter",
            note="Leave text/event-stream out of content_type.",
        ),
    ),
    Product(
        name="Caddy",
        header="server",
        pattern=r"caddy",
        habit="Caddy flushes event streams at once, but encode compresses what it is told to.",
        unbuffer=Fix(where="Caddyfile, in reverse_proxy", lines=("flush_interval -1",)),
        uncompress=Fix(where="Caddyfile", note="Keep text/event-stream out of what encode matches."),
    ),
    Product(
        name="IIS",
        header="server",
        pattern=r"microsoft-iis",
        habit="IIS with ARR holds answers back until its response buffer is full.",
        unbuffer=Fix(
            where="IIS, in the ARR proxy settings of applicationHost.config",
            lines=('<proxy enabled="true" responseBufferLimit="0" />',),
        ),
        uncompress=Fix(where="IIS, in web.config", lines=('<urlCompression doDynamicCompression="false" />',)),
    ),
    Product(
        name="Kong",
        header="via",
        pattern=r"kong",
        habit="Kong has nginx inside, and buffers answers unless the route says otherwise.",
        unbuffer=Fix(where="Kong, in the API's route", lines=("response_buffering: false",)),
    ),
    Product(
        name="Varnish",
        header="via",
        pattern=r"varnish",
        habit="Varnish fetches the whole object first where streaming is off for it.",
        unbuffer=Fix(
            where="Varnish, in vcl_backend_response",
            lines=("set beresp.do_stream = true;", "set beresp.uncacheable = true;"),
        ),
    ),
    Product(
        name="CloudFront",
        header="via",
        pattern=r"cloudfront",
        habit="CloudFront passes chunks on, but compresses what its cache policy lets it.",
        unbuffer=Fix(
            where="CloudFront, in the API's behaviour",
            note="Use the cache policy CachingDisabled, and look at what is between it and the model.",
        ),
        uncompress=Fix(where="CloudFront, in the API's behaviour", note="Turn off automatic compression."),
    ),
    Product(
        name="Cloudflare",
        header="server",
        pattern=r"cloudflare",
        habit="Cloudflare passes text/event-stream on; features that rewrite bodies hold it back.",
        unbuffer=Fix(
            where="the application, as a response header",
            lines=("Cache-Control: no-cache, no-transform",),
            note="Also turn off response buffering and body rewriting for the API's path.",
        ),
        uncompress=Fix(where="the application, as a response header", lines=("Cache-Control: no-cache, no-transform",)),
    ),
    Product(
        name="AWS API Gateway",
        header="x-amz-apigw-id",
        pattern=r".",
        habit="API Gateway hands an answer on when it is complete, unless the integration streams.",
        unbuffer=Fix(
            where="API Gateway, in the integration",
            lines=("responseTransferMode: STREAM",),
            note="HTTP APIs cannot: use a REST API, a Lambda function URL with InvokeMode RESPONSE_STREAM, or an ALB.",
        ),
    ),
    Product(
        name="LiteLLM",
        header="x-litellm-version",
        pattern=r".",
        habit="LiteLLM streams, unless a guardrail has to see the whole answer, its cache answers, or the model is "
        "marked as one that cannot stream and is replayed.",
        unbuffer=Fix(
            where="LiteLLM, in the model's entry of config.yaml",
            lines=("model_info:", "  supports_native_streaming: true"),
            note="And see which guardrails run on the output, and whether the cache answers.",
        ),
    ),
    Product(
        name="Express",
        header="x-powered-by",
        pattern=r"express",
        habit="Express writes at once, but the compression middleware holds back until its buffer is full.",
        unbuffer=Fix(where="the Express app, after each write", lines=("res.flush();",)),
        uncompress=Fix(
            where="the Express app",
            lines=(
                "app.use(compression({ filter: (req, res) =>",
                "  !/event-stream/.test(res.getHeader('Content-Type')) && compression.filter(req, res) }));",
            ),
        ),
    ),
)
"""The products from the outside in: a header of the outermost one hides those behind it."""


def products_named(headers: Mapping[str, str]) -> list[Product]:
    """List the products that the headers of an answer name."""
    found = [one for one in PRODUCTS if re.search(one.pattern, headers.get(one.header, ""), re.IGNORECASE)]
    if "x-envoy-upstream-service-time" in headers:
        found += [one for one in PRODUCTS if one.name == "Envoy" and one not in found]
    return found


def server_text(headers: Mapping[str, str]) -> str:
    """Return what an answer's headers name as its servers (`server`, `via`, `x-powered-by`), "" without any."""
    said = [headers[name] for name in ("server", "via", "x-powered-by") if headers.get(name)]
    said += [f"LiteLLM {headers['x-litellm-version']}"] if headers.get("x-litellm-version") else []
    return ", ".join(dict.fromkeys(said))[:80]

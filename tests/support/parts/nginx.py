"""Debian's nginx in front of a server: a real proxy that buffers unless it is told not to.

    with nginx(tmp_path / "nginx", upstream) as base_url:
        call(base_url)

It asks upstream by HTTP/1.0 unless told otherwise. A server that then answers without chunks, as RFC 9112 wants it
(aiohttp, node, `redelivered`), is buffered. One that sends chunks all the same (uvicorn with httptools, and so the
simulator) is not, whatever `proxy_buffering` says: nginx 1.22 passes on each chunk as it comes, unless TLS or gzip hold
it. What a client gets, as `tests/integration/test_parts_proxies.py` finds it:

| nginx(…) | upstream without chunks | upstream with chunks |
| --- | --- | --- |
| nothing, `buffering=True` | lumps of 4 KiB, headers with the first | each event |
| `buffer="16k"` | lumps of 16 KiB | each event |
| `tls=True` | lumps of 16 KiB, a TLS record each | the same |
| `tls=True, buffering=False` | each event | each event |
| `buffering=False` | each event | each event |
| nothing, and upstream sends `X-Accel-Buffering: no` | each event | each event |
| the same with `ignore_accel=True` | lumps of 4 KiB | each event |
| `http="1.1"` | upstream sends chunks: each event | each event |
| `gzip=True` | one lump at the end, headers with it | the same |
| `gzip=True, buffering=False` | each event, compressed by itself | the same |

Two of them, `nginx(…, nginx(…, upstream, buffering=False))`, give lumps in front of any upstream: the one in the middle
takes the chunks out. Over TLS the client has to trust `authority(folder)`, for instance by SSL_CERT_FILE.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

START_S = 10.0
ATTEMPTS = 3
"""Somebody else may take the port between the look for it and the start."""
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def missing() -> str | None:
    """What is missing to run it; None when nothing is."""
    return None if program() else "needs nginx: install it (Debian, Ubuntu: apt-get install nginx-light)"


def program() -> str | None:
    """Where it is: Debian keeps it where only root looks."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def nginx(
    folder: Path,
    upstream: str,
    *,
    buffering: bool | None = None,
    http: str | None = None,
    gzip: bool = False,
    ignore_accel: bool = False,
    buffer: str | None = None,
    tls: bool = False,
    lines: Sequence[str] = (),
) -> Iterator[str]:
    """Its base URL while it runs; all that it writes is in the folder. `lines`: more of the location, as they stand."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [
        f"proxy_pass {upstream.removesuffix('/v1')};",
        *([] if buffering is None else [f"proxy_buffering {'on' if buffering else 'off'};"]),
        *([f"proxy_http_version {http};", 'proxy_set_header Connection "";'] if http else []),
        *(GZIP if gzip else []),
        *(["proxy_ignore_headers X-Accel-Buffering;"] if ignore_accel else []),
        *([f"proxy_buffer_size {buffer};", f"proxy_buffers 8 {buffer};"] if buffer else []),
        *lines,
    ]
    if tls:
        certify(folder)
    with started(folder, wanted, tls) as port:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}/v1"


GZIP = ("gzip on;", "gzip_types text/event-stream;", "gzip_proxied any;", "gzip_min_length 0;")


def authority(folder: Path) -> Path:
    """The certificate that signed the server's."""
    return folder / "authority.pem"


def certify(folder: Path) -> None:
    """An authority of this folder's own, and a certificate for loopback."""
    import trustme

    ca = trustme.CA()
    ca.cert_pem.write_to_path(authority(folder))
    ca.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")


@contextmanager
def started(folder: Path, location: Sequence[str], tls: bool) -> Iterator[int]:
    """Its port."""
    for _ in range(ATTEMPTS):
        port = free_port()
        (folder / "nginx.conf").write_text(configuration(port, location, tls))
        with subprocess.Popen(command(folder), stdin=subprocess.DEVNULL) as process:
            try:
                if accepts(process, port):
                    yield port
                    return
            finally:
                process.terminate()
    raise RuntimeError(f"nginx did not start: {(folder / 'error.log').read_text()}")


def command(folder: Path) -> list[str]:
    """The command line; paths of the configuration are relative to the folder."""
    return [str(program()), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]


def configuration(port: int, location: Sequence[str], tls: bool) -> str:
    """One process that stays in the foreground, as whoever starts it, with one location."""
    paths = "".join(f"    {name}_temp_path {name}_temp;\n" for name in TEMPORARY)
    secure = "        ssl_certificate server.pem;\n        ssl_certificate_key server.pem;\n" if tls else ""
    asked = "".join(f"            {line}\n" for line in location)
    return f"""daemon off;
master_process off;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 256; }}
http {{
    access_log access.log;
{paths}    server {{
        listen 127.0.0.1:{port}{" ssl" if tls else ""};
{secure}        location / {{
{asked}        }}
    }}
}}
"""


def free_port() -> int:
    """One that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def accepts(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until it takes connections; False when it has ended before."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return process.poll() is None
    return False

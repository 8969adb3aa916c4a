"""Render a page of one file: its template, style and scripts, and the policy that allows nothing else."""

from __future__ import annotations

import base64
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent.parent / "templates"


def render_page(template: str, *, with_vega: bool, **values: object) -> str:
    """Render a template of `templates/` that extends `page.html.j2`, as a page without network.

    `with_vega`: the page has charts, and needs the 900 kB that draw them. All values are escaped but specifications,
    which `page.charts.script_json` makes harmless. Scripts are allowed by their hashes alone: nothing that came from a
    server can run.
    """
    scripts = [*([vega()] if with_vega else []), _text("page.js")]
    page = _environment().get_template(template)
    return page.render(style=_text("report.css"), scripts=scripts, policy=policy(scripts), **values)


@cache
def _environment() -> jinja2.Environment:
    import jinja2  # noqa: PLC0415  (not in the measuring process)

    loader = jinja2.FileSystemLoader(TEMPLATES)
    return jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )


@cache
def vega() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script, from the installed package vl-convert."""
    import vl_convert  # noqa: PLC0415  (only where a page with charts is written)

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def policy(scripts: list[str]) -> str:
    """Return a Content-Security-Policy that allows only these scripts, and no network."""
    hashes = [f"'sha256-{base64.b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts]
    rest = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {' '.join(hashes)}; {rest}"


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text("utf-8")

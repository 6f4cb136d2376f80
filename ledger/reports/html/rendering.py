"""From what a page says to its text: HTML, style, script and data in one file, which may load nothing."""

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from ledger._version import __version__
from ledger.errors import MissingExtra
from ledger.reports.html.subject import Subject

_SIDES: Final = 2
_IN_JSON: Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
"""JSON can say these without any character that HTML might take for the end of a script, or a comment."""
_PARTS: Final = ("lanes", "waterfall", "intervals", "sorting", "charts", "printing")
"""What the page's script is put together from. A part uses what those before it define."""
_BUNDLED: Final = "window.vegaEmbed = vegaEmbed;"


def page(subjects: Sequence[Subject]) -> str:
    """Return the page of one session, or of two side by side.

    Raises MissingExtra without altair, jinja2 or vl-convert, and ValueError for any other number of sessions.
    """
    if not 1 <= len(subjects) <= _SIDES:
        raise ValueError(f"a page is of one session or of two, not of {len(subjects)}")
    try:
        import jinja2

        from ledger.reports.html.contents import contents

        # Ours first: what it draws is to be seen while the browser still reads Vega.
        scripts = [own_script(*_PARTS), vega_library()]
    except ImportError as error:
        raise MissingExtra.of("a page", error.name, "html") from error
    shown = contents(subjects)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(own_file("page.html.jinja")).render(
        shown=shown,
        is_two=len(subjects) == _SIDES,
        version=__version__,
        policy=content_policy(scripts),
        style=own_file("page.css"),
        scripts=scripts,
        data={
            "waterfall": as_json({side: one.lanes for side, one in shown.waterfalls.items()}),
            "intervals": as_json({side: one.intervals for side, one in shown.waterfalls.items()}),
            "charts": as_json({"charts": shown.charts, "lengthS": shown.length_s}),
        },
    )


def as_json(data: object) -> str:
    """Return data as JSON that can stand in a script of a page, whatever is in its texts."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).translate(_IN_JSON)


def content_policy(scripts: Sequence[str]) -> str:
    """Return what the page may do: run these scripts and no other, and load nothing from anywhere.

    Vega sets styles on what it draws. Its expressions are interpreted, so that no text becomes a program.
    """
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def vega_library() -> str:
    """Return Vega, with what puts its charts into a page: bundling it takes seconds."""
    import vl_convert

    script = vl_convert.javascript_bundle(_BUNDLED)
    # A browser reads every line's end as "\n", and the policy has the digest of what it reads.
    return script.replace("\r\n", "\n").replace("</script", "<\\/script")


def own_script(*parts_of_it: str) -> str:
    """Return a page's own script: its parts by name, in one scope."""
    parts = "\n".join(own_file(f"{name}.js") for name in parts_of_it)
    return f'"use strict";\n(() => {{\n{parts}\n}})();\n'


def own_file(name: str) -> str:
    """Return the text of a file beside this one."""
    return (files("ledger.reports.html") / name).read_text(encoding="utf-8")

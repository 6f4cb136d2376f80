"""The real speedscope, which opens flame graphs: its page as its npm package has it, on no network."""

import base64
import json
from pathlib import Path
from typing import Final

from tests.support import npm

PACKAGE: Final = npm.Package(
    "speedscope",
    "1.25.0",
    "sha512-cpf9HWTZf1ijLXBJrk87Ve/54tnYx6rlf0gUThvn3ook6h63hLXVOQiMf44PT+XoV503cPfvfiT5gP5vojp6Ag==",
)


def release() -> Path:
    """Return the folder that has the page. Raises npm.NotAvailable."""
    return npm.installed(PACKAGE) / "dist" / "release"


def schema() -> dict[str, object]:
    """Return the JSON schema of the file format. Raises npm.NotAvailable."""
    return json.loads((release() / "file-format-schema.json").read_text())


def address(file: Path, folder: Path) -> str:
    """Return the address under which the page opens a file; what it loads is put into a folder.

    As speedscope's own command does it (`bin/cli.mjs`). Raises npm.NotAvailable.
    """
    content = base64.b64encode(file.read_bytes()).decode()
    script = folder / "profile.js"
    script.write_text(f"speedscope.loadFileFromBase64({json.dumps(file.name)}, {json.dumps(content)})")
    return f"{(release() / 'index.html').as_uri()}#localProfilePath={script}"

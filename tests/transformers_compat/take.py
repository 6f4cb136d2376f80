"""Takes the signatures that the hooks rest on anew: `python tests/transformers_compat/take.py [VERSION …]`.

Without versions: of each that is kept here. Wheels are downloaded with pip and read where they lie; nothing
of them is imported or installed.
"""

import json
import sys
from pathlib import Path
from typing import Any

from ledger_engine.signature_check import Read, parameters
from ledger_transformers.hook_targets import TABLE
from tests.support.wheels import wheel

HERE = Path(__file__).resolve().parent
INIT_CONTEXT = "with ContextManagers(model_init_context):"
"""What `from_pretrained` does with what `get_init_context` returns: the hook adds a context to it."""


def main() -> None:
    """Write one file per version, beside this one."""
    kept = [path.stem.removeprefix("transformers-") for path in HERE.glob("transformers-*.json")]
    for version in sys.argv[1:] or sorted(kept):
        path = HERE / f"transformers-{version}.json"
        path.write_text(json.dumps(of_wheel(version), indent=1) + "\n", encoding="utf-8")
        print(path.name, flush=True)


def of_wheel(version: str) -> dict[str, Any]:
    """Return the facts of a version, out of a wheel that is downloaded and thrown away."""
    with wheel(f"transformers=={version}") as opened:
        return facts(version, opened.read)


def facts(version: str, read: Read) -> dict[str, Any]:
    """Return what the hooks rest on in one version, as plain JSON."""
    modeling = read("transformers.modeling_utils") or ""
    return {
        "transformers": version,
        "parameters": {
            f"{target.module}:{target.name}": None if found is None else ", ".join(found)
            for target in TABLE.own_targets
            for found in [parameters(target, read)]
        },
        "init_context": {
            "made": modeling.count("model_init_context = cls.get_init_context("),
            "entered": modeling.count(INIT_CONTEXT),
        },
    }


if __name__ == "__main__":
    main()

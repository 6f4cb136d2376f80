"""Gets Triton, which compiles for a GPU on a machine without one, and keeps it outside of the environment.

Inside of it, torch would find it: on a CPU too, each torch.compile then imports Triton. The wheel has 190 MB.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.support.npm import NotAvailable, kept

VERSION: Final = "3.6.0"
"""The one of torch 2.11, with which vLLM 0.24 runs."""


def triton_folder() -> Path:
    """Return the folder to put on the path of a program that is to have Triton. Raises NotAvailable."""
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    return kept(f"triton-{VERSION}-{python}", _install)


def _install(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--no-compile", "--target", str(folder), f"triton=={VERSION}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise NotAvailable(f"Triton {VERSION} can't be installed: {ran.stderr.strip().splitlines()[-1]}")

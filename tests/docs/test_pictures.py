"""The handbook's pictures are made by a command, which makes each of them."""

from pathlib import Path

from PIL import Image

from tests.support.handbook import DOCS
from tests.take.screenshots import IMAGES, take


def test_the_command_makes_each_picture_of_the_handbook_at_its_size(tmp_path: Path) -> None:
    taken = {path.name: path for path in take(tmp_path)}
    assert taken.keys() == {path.name for path in IMAGES.iterdir()}
    for name, path in taken.items():
        with Image.open(path) as made, Image.open(IMAGES / name) as kept:
            assert made.size == kept.size
            pixels = made.size[0] * made.size[1]
            colours = made.convert("RGB").getcolors(pixels) or []
        # Something is drawn: no colour has nearly all of it.
        assert max(number for number, _ in colours) < 0.97 * pixels


def test_each_picture_is_on_a_page() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md"))
    for picture in IMAGES.iterdir():
        assert f"images/{picture.name})" in pages, picture

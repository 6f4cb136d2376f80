"""Which part of the model a process is busy with, by what it logged before; and its compile cache's key."""

import re
from typing import Any, Final

from ledger_engine.model_parts import WHOLE, Part
from ledger_vllm.logged_stages import LOGGED_STAGES
from ledger_vllm.messages import Occurrence, Stated
from ledger_vllm.model_parts import part_of

_RANK_FOLDER: Final = re.compile(r"rank_\d+(?:_\d+)*")
_DRAFTER: Final = Part("drafter", None)


class PartsOfModel:
    """What one process is busy with."""

    def __init__(self) -> None:
        self._component: str | None = None
        self._has_component = False
        self._loads_drafter = False
        self._cache_key: dict[str, str] = {}
        self._cache_dir: str | None = None

    def take_cache_directory(self, occurrence: Occurrence) -> None:
        """Take a line that names the cache's directory, which the next compile is about."""
        path = str(occurrence.path).rstrip("/ ")
        *above, folder = path.split("/")
        is_of_rank = _RANK_FOLDER.fullmatch(folder) is not None
        self._component = occurrence.tag or (None if is_of_rank else folder)
        self._has_component = True
        # The directory is named by the key, and there is one folder for each rank in it.
        of_ranks = [number for number, name in enumerate((*above, folder)) if _RANK_FOLDER.fullmatch(name)]
        keyed = (*above, folder)[of_ranks[-1] - 1] if of_ranks and of_ranks[-1] else None
        if keyed is not None and self._cache_key.get("directory") != keyed:
            self._cache_key = {"directory": keyed}
        self._cache_dir = path

    def take_cache_factors(self, occurrence: Occurrence) -> None:
        """Take a line with the parts of the cache's key, which may have the directory too."""
        if occurrence.path:
            self.take_cache_directory(occurrence)
        self._cache_key |= occurrence.factors or {}

    def take_drafter_load(self) -> None:
        """Take a line that says that what is loaded from now on is the drafter."""
        self._loads_drafter = True

    def cache_of_compile(self) -> dict[str, Any]:
        """Return what the compile that ends now has in its data about the cache; it has that once."""
        key, folder = self._cache_key, self._cache_dir
        self._cache_key, self._cache_dir = {}, None
        return {} if folder is None else {"cache_dir": folder} | ({"cache_key": key} if key else {})

    def of_stated(self, stated: Stated) -> Part:
        """Return the part that a stated duration is about."""
        part = self.of(stated.stage, stated.tag)
        if stated.stage == "weights_load" and self._loads_drafter:
            part = _DRAFTER
        elif stated.stage in ("model_load", "engine_init"):
            self._loads_drafter = False
        if not LOGGED_STAGES[stated.stage].is_of_model_part:
            part = part._replace(component=stated.component or stated.tag or part.component)
        return part

    def of(self, stage: str, tag: str | None) -> Part:
        """Return the part that a stage is about, by its line's tag, or by what was logged before."""
        if not LOGGED_STAGES[stage].is_of_model_part:
            return WHOLE
        if tag is not None:
            self._component, self._has_component = tag, True
        if not self._has_component:
            return WHOLE
        # The tag of an encoder is its class's name; model tags are in lower case.
        is_encoder = self._component is not None and self._component[:1].isupper()
        return part_of(self._component, is_encoder=is_encoder)

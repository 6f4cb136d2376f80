"""The protocol of `bench`: which starts in which order, and the folders in which they cache compiled code."""

import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple

from ledger.engines import CacheVariable, installed_engines
from ledger.errors import LedgerNotWritable

_OF_TORCH: Final = (CacheVariable("TORCHINDUCTOR_CACHE_DIR"),)


class PlannedStart(NamedTuple):
    """A start, by the label of its session."""

    label: str
    is_cold: bool


def planned_starts(cold: int, warm: int) -> list[PlannedStart]:
    """Return the starts in their order: after each cold one its share of the warm ones.

    In turns, so that whatever else happens on the machine affects both kinds alike.
    """
    starts: list[PlannedStart] = []
    warm_count = 0
    for number in range(cold):
        starts.append(PlannedStart(f"cold-{number + 1}", True))
        share = warm // cold + (number < warm % cold)
        starts += [PlannedStart(f"warm-{warm_count + one + 1}", False) for one in range(share)]
        warm_count += share
    return starts


class CacheFolders:
    """The cache folders of a bench: new ones for each cold start, beside its ledger, and none at the end.

    New ones, instead of emptied ones, since processes that outlive a start may still write into its own.
    """

    def __init__(self, ledger: Path) -> None:
        self._ledger: Final = ledger
        self._variables: Final = (*_OF_TORCH, *(one for each in installed_engines() for one in each.caches))
        self._root: Path | None = None
        self._count = 0

    def __enter__(self) -> "CacheFolders":
        folder = self._ledger.absolute().parent
        try:
            self._root = Path(tempfile.mkdtemp(prefix=f".{self._ledger.name}.caches-", dir=folder))
        except OSError as error:
            raise LedgerNotWritable(
                f"{folder}: can't be written ({error.strerror}); choose another place with -o"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)

    def renew(self) -> None:
        """Take new folders, and remove the ones before."""
        shutil.rmtree(self._current, ignore_errors=True)
        self._count += 1
        for folder in self.environment().values():
            Path(folder).mkdir(parents=True)

    def environment(self) -> dict[str, str]:
        """Return the variables that name the folders, with their values."""
        names = [
            variable.where_unset
            if variable.where_unset is not None and not os.environ.get(variable.name)
            else variable.name
            for variable in self._variables
        ]
        return {name: str(self._current / name.lower()) for name in names}

    @property
    def _current(self) -> Path:
        assert self._root is not None
        return self._root / str(self._count)

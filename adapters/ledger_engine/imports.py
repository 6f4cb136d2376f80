"""Calls back when a module has been imported, also where its import is already under way.

wrapt takes a module that is in `sys.modules` for imported, but it is there from the beginning of its import.
An adapter that starts at the end of `import torch` meets such modules: the one that imports torch is one.
"""

import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

from wrapt import register_post_import_hook

OnImport = Callable[[ModuleType], None]


def when_imported(name: str, callback: OnImport) -> None:
    """Call `callback` with a module once it is imported: now, where it is already.

    Where its import is under way now, that is at the first import of another module after its end.
    """
    if _is_being_imported(name):
        sys.meta_path.insert(0, _AtNextImport(name, callback))
    else:
        register_post_import_hook(callback, name)


def _is_being_imported(name: str) -> bool:
    spec = getattr(sys.modules.get(name), "__spec__", None)
    # What importlib itself asks, before it lets another thread have a module.
    return bool(getattr(spec, "_initializing", False))


class _AtNextImport(MetaPathFinder):
    """Finds no module; is asked at each import, and so learns when an earlier one has ended.

    It stays in the list when it is done: taken out of it now, the finder after it would be passed over.
    """

    def __init__(self, name: str, callback: OnImport) -> None:
        self._name: Final = name
        self._callback: Final = callback
        self._lock: Final = threading.Lock()
        self._is_done = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not self._is_done and not _is_being_imported(self._name):
            with self._lock:
                is_first, self._is_done = not self._is_done, True
            if is_first:
                register_post_import_hook(self._callback, self._name)
        return None

"""Watches a model's version folders and keeps the newest good one loaded."""

import os
import threading

from serving import command
from serving.errors import ServingError
from serving.server import arguments
from serving.server import model as models

_POLL_SECONDS = 1.0
_FileState = tuple[str, int, int]  # path, bytes, time of the last change in ns


class Versions:
    """The versions of one model.

    The newest folder is served. A new one is loaded before the old one is let go; a request that
    began on the old one ends on it. A broken one is refused with a message on stderr, and tried
    again when its files change.

    Args:
        model_dir: folder of the version folders.

    Raises:
        ServingError: there is no version there, or none that can be loaded.
    """

    def __init__(self, model_dir: str | os.PathLike[str]) -> None:
        self._model_dir = model_dir
        self._states: dict[int, tuple[str, str]] = {}  # version: (state, error message)
        self._refused: dict[int, list[_FileState]] = {}  # version: its files then
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        versions = arguments.versions(model_dir)
        self._current: models.Model
        for version in reversed(versions):
            try:
                self._load(version)
                break
            except ServingError as error:
                if version == versions[0]:
                    raise
                command.warn(f"version {version} is refused: {error}")
        self._thread = threading.Thread(target=self._watch, name="versions", daemon=True)

    def start(self) -> None:
        """Begins to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Ends watching, after a load that is under way."""
        self._stopped.set()
        self._thread.join()

    def get(self, version: int | None = None) -> models.Model | None:
        """Returns a version, by default the newest; None if it isn't loaded."""
        current = self._current
        return current if version in (None, current.version) else None

    @property
    def current(self) -> models.Model:
        """The version that is served."""
        return self._current

    def states(self) -> list[tuple[int, str, str]]:
        """Returns [(version, state of `ModelVersionStatus`, error message)], newest first."""
        with self._lock:
            return [(version, *self._states[version]) for version in sorted(self._states)[::-1]]

    def _watch(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            try:
                self.poll()
            except Exception as error:  # whatever a folder does, the thread must live
                command.warn(f"still serving version {self._current.version}: {error}")

    def poll(self) -> None:
        """Loads the newest version folder, if there is one that isn't served yet.

        Raises:
            ServingError: it can't be loaded, or the folders can't be read.
        """
        versions = sorted(arguments.version_folders(self._model_dir))
        if not versions or versions[-1] == self._current.version:
            return
        newest = versions[-1]
        if self._refused.get(newest) == _files(self._folder(newest)):
            # Whatever the second newest is, it must not replace a version that is served.
            return
        old = self._current.version
        self._load(newest)
        self._set_state(old, "END")
        command.say(f"serving version {newest} in place of {old}")

    def _load(self, version: int) -> None:
        folder = self._folder(version)
        files = _files(folder)
        self._set_state(version, "LOADING")
        try:
            self._current = models.load(folder, version)
        except ServingError as error:
            self._refused[version] = files
            self._set_state(version, "END", str(error))
            raise
        self._set_state(version, "AVAILABLE")

    def _folder(self, version: int) -> str:
        return os.path.join(self._model_dir, arguments.version_folders(self._model_dir)[version])

    def _set_state(self, version: int, state: str, error: str = "") -> None:
        with self._lock:
            self._states[version] = (state, error)


def _files(folder: str) -> list[_FileState]:
    """Returns the state of all files below a folder, to compare with a later one."""
    found = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            status = os.stat(path)
            found.append((path, status.st_size, status.st_mtime_ns))
    return sorted(found)

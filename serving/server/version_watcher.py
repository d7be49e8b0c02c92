"""Watches a model's version folders and keeps the newest good one loaded."""

import os
import re
import sys
import threading

from serving.errors import BadInputError, ServingError
from serving.server.saved_model import SavedModel

_POLL_SECONDS = 1.0


class Versions:
    """The versions of one model.

    The newest folder is served. A new one is loaded before the old one is let go; a request that
    began on the old one ends on it. A broken one is refused in words, and looked at again when its
    files change.

    Args:
        model_dir: folder of the version folders.

    Raises:
        ServingError: there is no version there, or none that can be loaded.
    """

    def __init__(self, model_dir):
        self._model_dir = model_dir
        self._states = {}  # version: (state, error message)
        self._refused = {}  # version: what its files were
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        versions = sorted(_folders(model_dir))
        if not versions:
            raise BadInputError(
                f"--model_dir={model_dir}: no version of a model there (a folder named 1, 2, ...); "
                "write one with python -m arn_tf.export"
            )
        self._current = None
        for version in reversed(versions):
            try:
                self._load(version)
                break
            except ServingError as error:
                if version == versions[0]:
                    raise
                print(f"version {version} is refused: {error}", file=sys.stderr)
        self._thread = threading.Thread(target=self._watch, name="versions", daemon=True)

    def start(self):
        """Begins to watch."""
        self._thread.start()

    def stop(self):
        """Ends watching, after a load that is under way."""
        self._stopped.set()
        self._thread.join()

    def get(self, version=None):
        """The `SavedModel` of a version, by default the newest; None if it isn't loaded."""
        current = self._current
        return current if version in (None, current.version) else None

    def states(self):
        """[(version, state, error message)], newest first; states as `ModelVersionStatus` names."""
        with self._lock:
            return [(version, *self._states[version]) for version in sorted(self._states)[::-1]]

    def _watch(self):
        while not self._stopped.wait(_POLL_SECONDS):
            try:
                self.poll()
            except Exception as error:  # whatever a folder does, the thread must live
                print(f"still serving version {self._current.version}: {error}", file=sys.stderr)

    def poll(self):
        """Looks at the folders once."""
        versions = sorted(_folders(self._model_dir))
        if not versions or versions[-1] == self._current.version:
            return
        newest = versions[-1]
        if self._refused.get(newest) == _files(self._folder(newest)):
            # Whatever the second newest is, it must not replace a version that is served.
            return
        old = self._current.version
        self._load(newest)
        self._set_state(old, "END")
        print(f"serving version {newest} in place of {old}", flush=True)

    def _load(self, version):
        folder = self._folder(version)
        files = _files(folder)
        self._set_state(version, "LOADING")
        try:
            self._current = SavedModel(folder, version)
        except ServingError as error:
            self._refused[version] = files
            self._set_state(version, "END", str(error))
            raise
        self._set_state(version, "AVAILABLE")

    def _folder(self, version):
        return os.path.join(self._model_dir, _folders(self._model_dir)[version])

    def _set_state(self, version, state, error=""):
        with self._lock:
            self._states[version] = (state, error)


def _folders(model_dir):
    """{version: name of its folder}; "0001" is one, too."""
    try:
        return {
            int(entry.name): entry.name
            for entry in sorted(os.scandir(model_dir), key=lambda entry: entry.name)
            if re.fullmatch("[0-9]+", entry.name) and entry.is_dir()
        }
    except OSError as error:
        raise BadInputError(f"--model_dir={model_dir}: {error}") from error


def _files(folder):
    """What a folder holds, so that a change shows."""
    found = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            status = os.stat(path)
            found.append((path, status.st_size, status.st_mtime_ns))
    return sorted(found)

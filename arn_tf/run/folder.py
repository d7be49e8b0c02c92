"""The folder of one run: what is in it, and how files get there without being half written.

settings.json      settings of the run
data.json          fingerprints of the pictures that it began with
initial.keras      the model before training
source_only.keras  paper: trained on the source alone for as many epochs
source.keras       strong: tuned on the source
adapted.keras      strong: the same with statistics of the target's cameras
round_N.keras      strong: after a round of self-training; round_N.json describes its clusters
choice.json        strong: the stage that was kept, and why
model.keras        the result
checkpoints/       BRANCH-EPOCH.keras, weights and optimizers, while the run goes on
logs/              TensorBoard
results.json       written by arn_tf.evaluate
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

from arn_tf.data import local_folder
from arn_tf.errors import ArgumentError, UserError
from arn_tf.run.atomic_files import replace_text
from arn_tf.run.settings import RunSettings


class RunDir:
    """Paths and files of one run.

    Args:
        path: the folder.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def file(self, name: str) -> str:
        """Returns the path of one of the run's files."""
        return os.path.join(self.path, name)

    @property
    def logs(self) -> str:
        """Folder of TensorBoard's files."""
        return self.file("logs")

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Creates the folder, and keeps other processes from training there.

        Raises:
            UserError: it can't be written, or is in use.
        """
        local_folder.refuse_url("model_dir", self.path)
        try:
            os.makedirs(self.file("checkpoints"), exist_ok=True)
            lock = open(self.file(".lock"), "w")  # noqa: SIM115 - held for the whole run
        except OSError as error:
            raise ArgumentError("model_dir", self.path, str(error)) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ArgumentError(
                    "model_dir", self.path, "another process is training there"
                ) from error
            yield

    @contextlib.contextmanager
    def claimed_for(self, settings: RunSettings) -> Iterator[None]:
        """Creates the folder, or resumes its run; else as `claimed`.

        Raises:
            UserError: as `claimed`; or the folder belongs to a run with other settings.
        """
        with self.claimed():
            self._keep_settings(settings)
            yield

    def settings(self) -> dict[str, Any]:
        """Returns the settings that the run began with, {name: value}.

        Raises:
            UserError: this is not the folder of a run.
        """
        path = self.file("settings.json")
        if not os.path.exists(path):
            raise ArgumentError(
                "model_dir",
                self.path,
                "no settings.json there; name the folder of a run of arn_tf.train",
            )
        try:
            with open(path) as file:
                return dict(json.load(file))
        except (OSError, TypeError, ValueError) as error:
            raise UserError(
                f"{path}: not the settings of a run of arn_tf.train ({error})"
            ) from error

    def keep_data(self, digests: Mapping[str, str]) -> None:
        """Records the data that the run learns from, or checks that it is still the same.

        Args:
            digests: {"source train": `Split.digest`, ...}; those not recorded yet are added.

        Raises:
            UserError: a split holds other pictures than when the run began.
        """
        path = self.file("data.json")
        try:
            known = {}
            # Until there is a model nothing has come of the pictures.
            if os.path.exists(path) and os.path.exists(self.file("initial.keras")):
                with open(path) as file:
                    known = json.load(file)
            for name, digest in digests.items():
                if known.get(name, digest) != digest:
                    raise ArgumentError(
                        "model_dir",
                        self.path,
                        f"the pictures of {name} are not those that the run began with. Check "
                        "data_dir and manual_dir, or name another model_dir",
                        also=["data_dir", "manual_dir"],
                    )
            if known != (both := {**known, **digests}):
                replace_text(path, json.dumps(both, indent=2))
        except (OSError, json.JSONDecodeError) as error:
            raise UserError(f"{path}: {error}") from error

    def save_model(self, model: keras.Model, name: str) -> None:
        """Writes a model beside its place and renames it there.

        Raises:
            UserError: it can't be written; whatever was there before still is.
        """
        self._write(name, model.save)

    def copy_model(self, name: str, copy: str) -> None:
        """Writes one of the run's models under another name; else as `save_model`."""
        self._write(copy, lambda path: shutil.copyfile(self.file(name), path))

    def digest(self, name: str) -> str:
        """Returns the SHA-256 of one of the run's files, hexadecimal."""
        with open(self.file(name), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def load_model(self, name: str) -> keras.Model:
        """Loads a model that `save_model` wrote.

        Raises:
            UserError: it is missing or broken.
        """
        path = self.file(name)
        if not os.path.exists(path):
            raise ArgumentError(
                "model_dir",
                self.path,
                f"{name} is not there; finish the run with the arn_tf.train command that began it",
            )
        try:
            return keras.models.load_model(path)
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise UserError(f"{path}: can't be loaded ({error})") from error

    def checkpoint(self, branch: str, epoch: int) -> str:
        """Returns the name of the state after `epoch` epochs of a branch."""
        return os.path.join("checkpoints", f"{branch}-{epoch:04d}.keras")

    def newest_checkpoint(self, branch: str) -> tuple[int, str] | tuple[None, None]:
        """Returns (epoch, name) of a branch's newest checkpoint, or (None, None)."""
        found = [
            int(match[1])
            for entry in os.listdir(self.file("checkpoints"))
            if (match := re.fullmatch(rf"{branch}-(\d+)\.keras", entry))
        ]
        return (max(found), self.checkpoint(branch, max(found))) if found else (None, None)

    def forget_checkpoints(self, branch: str, keep: int | None = None) -> None:
        """Removes a branch's checkpoints but that of epoch `keep`."""
        for entry in os.listdir(self.file("checkpoints")):
            match = re.fullmatch(rf"{branch}-(\d+)\.keras", entry)
            if match and int(match[1]) != keep:
                os.remove(self.file(os.path.join("checkpoints", entry)))

    def _keep_settings(self, settings: RunSettings) -> None:
        """Writes the settings of a new run; those of one that goes on must be equal."""
        path = self.file("settings.json")
        # Until there is a model nothing has come of them: a first command may have had a mistake.
        if not (os.path.exists(path) and os.path.exists(self.file("initial.keras"))):
            try:
                settings.save(path)
            except OSError as error:
                raise UserError(f"can't write {path}: {error}") from error
            return
        differences = settings.differences(self.settings())
        if differences:
            names = [line.partition(":")[0] for line in differences]
            raise UserError(
                f"model_dir={self.path} holds a run with other settings:\n  "
                + "\n  ".join(differences)
                + "\nGive its settings to go on with it, or name another model_dir",
                ["model_dir", *names],
            )

    def _write(self, name: str, write: Callable[[str], object]) -> None:
        path = self.file(name)
        # Keras wants the suffix.
        partial = os.path.join(os.path.dirname(path), ".partial.keras")
        try:
            write(partial)
            with open(partial, "rb") as file:
                os.fsync(file.fileno())
            os.replace(partial, path)
        # RuntimeError is HDF5's word for a full disk.
        except (OSError, RuntimeError) as error:
            with contextlib.suppress(OSError):
                os.remove(partial)
            raise UserError(
                f"can't write {path}: {error}. The last checkpoint is kept: make room and give "
                "the same command again"
            ) from error

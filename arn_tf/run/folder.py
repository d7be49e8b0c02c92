"""The folder of one run: what is in it, and how files get there without being half written.

settings.json      settings of the run
data.json          fingerprints of the pictures that it began with
pictures/          of a user's own pictures: their record, and decoded; source_N/ of several sources
initial.keras      the model before training
source_only.keras  paper: trained on the source alone for as many epochs
source.keras       strong: tuned on the source; not there without one
adapted.keras      strong: the same, or initial.keras, with statistics of the target's cameras
round_N.keras      strong: after a round of self-training; round_N.json describes its clusters
average.keras      strong: the mean of the later half of the rounds
choice.json        strong: the stage that was kept, and why
times.json         strong: how long each stage took
model.keras        the result
checkpoints/       BRANCH-EPOCH.keras, weights and optimizers, while the run goes on
logs/              TensorBoard
results.json       written by arn_tf.evaluate
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import keras

from arn_tf.data import local_folder
from arn_tf.errors import ArgumentError, UserError
from arn_tf.run.settings import RunSettings
from datasets.files import locks
from datasets.files.atomic_files import check_writable, is_refusal, replace_text

_Loaded = TypeVar("_Loaded")


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

    @property
    def begun(self) -> bool:
        """Whether there is a model; until then nothing has come of settings and pictures."""
        return os.path.exists(self.file("initial.keras"))

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Creates the folder, and keeps other processes from training there.

        Raises:
            UserError: it can't be written, or is in use.
        """
        local_folder.refuse_url("model_dir", self.path)
        with contextlib.ExitStack() as stack:
            try:
                os.makedirs(self.file("checkpoints"), exist_ok=True)
                check_writable(self.path)
                stack.enter_context(locks.held(self.file(".lock")))
            except locks.Held as held:
                raise ArgumentError("model_dir", self.path, f"{held} is training there") from held
            except OSError as error:
                problem = str(error)
                if is_refusal(error):
                    problem = (
                        f"can't be written ({error.strerror}). Name a folder of your own, such as "
                        "a copy of it"
                    )
                raise ArgumentError("model_dir", self.path, problem) from error
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
            with open(path, encoding="utf-8") as file:
                return dict(json.load(file))
        except (OSError, TypeError, ValueError) as error:
            raise UserError(
                f"{path}: not the settings of a run of arn_tf.train ({error})"
            ) from error

    def keep_data(self, digests: Mapping[str, str]) -> None:
        """Records the data that the run learns from, or checks that it is still the same.

        Says so where the folder is to be read alone.

        Args:
            digests: {"source train": `Split.digest`, ...}; those not recorded yet are added.

        Raises:
            UserError: a split holds other pictures than when the run began.
        """
        path = self.file("data.json")
        try:
            known = self._known_data(digests)
            if known == {**known, **digests}:
                return
            with locks.held(f"{path}.lock", lambda holder: print(f"{path}: {holder} writes it")):
                # Another command may have added its own meanwhile.
                known = self._known_data(digests)
                replace_text(path, json.dumps({**known, **digests}, indent=2))
        except OSError as error:
            if not is_refusal(error):
                raise UserError(f"{path}: {error}") from error
            print(
                f"{path} can't be written ({error.strerror}): fingerprints of "
                f"{' and '.join(digests)} are not kept"
            )

    @contextlib.contextmanager
    def unchanged(self, name: str) -> Iterator[str]:
        """Checks that no other process replaces one of the run's files before the block ends.

        Yields:
            the SHA-256 of the file, hexadecimal; empty where there is none yet.

        Raises:
            UserError: it was replaced.
        """
        path = self.file(name)
        before = self.digest(name) if os.path.exists(path) else ""
        yield before
        if before != (self.digest(name) if os.path.exists(path) else ""):
            raise UserError(
                f"{path} was replaced meanwhile, as by arn_tf.calibrate or the end of a training. "
                "Give the same command again"
            )

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
        return self._loaded(name, keras.models.load_model)

    def load_weights(self, model: keras.Model, name: str) -> None:
        """Gives a model the weights of another one of the same kind, which `save_model` wrote.

        Raises:
            UserError: it is missing or broken, or of another kind.
        """
        self._loaded(name, model.load_weights)

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

    def _known_data(self, digests: Mapping[str, str]) -> dict[str, str]:
        """Returns the recorded fingerprints; raises a `UserError` where some are others."""
        known: dict[str, str] = {}
        path = self.file("data.json")
        if os.path.exists(path) and self.begun:
            try:
                with open(path, encoding="utf-8") as file:
                    known = dict(json.load(file).items())
            except (AttributeError, ValueError) as error:
                raise UserError(
                    f"{path}: damaged ({error}). Restore it from a copy, or remove it to go on "
                    "without a check that the pictures are still the same"
                ) from error
        for name, digest in digests.items():
            if known.get(name, digest) != digest:
                raise ArgumentError(
                    "model_dir",
                    self.path,
                    f"the pictures of {name} are not those that the run began with. Check "
                    "data_dir and manual_dir, or name another model_dir",
                    also=["data_dir", "manual_dir"],
                )
        return known

    def _keep_settings(self, settings: RunSettings) -> None:
        """Writes the settings of a new run; those of one that goes on must be equal."""
        path = self.file("settings.json")
        # A first command may have had a mistake.
        if not (os.path.exists(path) and self.begun):
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

    def _loaded(self, name: str, load: Callable[[str], _Loaded]) -> _Loaded:
        path = self.file(name)
        if not os.path.exists(path):
            raise ArgumentError(
                "model_dir",
                self.path,
                f"{name} is not there; finish the run with the arn_tf.train command that began it",
            )
        try:
            return load(path)
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise UserError(f"{path}: can't be loaded ({error})") from error

    def _write(self, name: str, write: Callable[[str], object]) -> None:
        path = self.file(name)
        # Keras wants the suffix. One name for all: who writes models has claimed the folder, and
        # what a killed process left is written over.
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

"""From a data set's name to its encoded pictures in memory.

A split is held as the encoded pictures (the 32,217 of Market-1501 take 0.2 GB), so that any picture
can be reached by its row; `images` decodes them in `tf.data`, in parallel with training.
"""

import importlib
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from arn_tf.data import local_folder, stored_folder
from arn_tf.data.split import Split
from arn_tf.errors import ArgumentError, UserError
from datasets.archive import DataError, fingerprint
from datasets.files import locks
from datasets.files.atomic_files import is_refusal

# Name on the command line -> TFDS name, and the module whose import registers the builder.
_BUILDERS = {
    "market": ("market1501", "datasets.market1501.market1501_dataset_builder"),
    "duke": ("dukemtmc_reid", "datasets.dukemtmc_reid.dukemtmc_reid_dataset_builder"),
    "toy_market": ("toy_reid/market", "datasets.toy_reid.toy_reid_dataset_builder"),
    "toy_duke": ("toy_reid/duke", "datasets.toy_reid.toy_reid_dataset_builder"),
}


class ReidData:
    """A prepared re-ID data set.

    Args:
        name: market, duke, toy_market or toy_duke.
        data_dir: where TFDS keeps prepared data sets.
        manual_dir: folder with the official archive, or with the folder extracted from it;
            DATA_DIR/downloads/manual when empty.
        skip_bad_images: leave out, count and list pictures that can't be read.

    Attributes:
        name: as given.

    Raises:
        UserError: unknown name; something is wrong with the archive or the folders; the prepared
            data set was made from another archive; or `datasets` is another package.
    """

    def __init__(
        self,
        name: str,
        data_dir: str | os.PathLike[str],
        manual_dir: str | os.PathLike[str] = "",
        skip_bad_images: bool = False,
    ) -> None:
        if name not in _BUILDERS:
            raise UserError(f"data set {name!r} is unknown; there are {', '.join(_BUILDERS)}")
        self.name = name
        self._splits: dict[str, Split] = {}
        tfds_name, module_name = _BUILDERS[name]
        module = importlib.import_module(module_name)
        data_dir = local_folder.for_datasets("data_dir", data_dir)
        manual = local_folder.for_datasets(
            "manual_dir", manual_dir or os.path.join(data_dir, "downloads", "manual")
        )
        layout = getattr(module, "LAYOUT", None)
        arguments: dict[str, Any] = {"skip_bad_images": skip_bad_images} if layout else {}
        if "/" in tfds_name:
            arguments["config"] = tfds_name.split("/")[1]
        self._folder = os.path.join(data_dir, tfds_name, str(module.Builder.VERSION))

        def opened() -> tfds.core.DatasetBuilder:
            with stored_folder.readable(name, self._folder):
                return module.Builder(data_dir=data_dir, **arguments)

        try:
            # It appears whole, so that who only reads needs no lock, which a read-only disk and
            # another user's folder don't give.
            self._builder = opened()
            prepared = self._builder.is_prepared()
            if not prepared:
                os.makedirs(data_dir, exist_ok=True)
                with locks.held(os.path.join(data_dir, f".{name}.lock"), self._wait):
                    # Another process may have prepared it meanwhile.
                    self._builder = opened()
                    prepared = self._builder.is_prepared()
                    if not prepared:
                        self._prepare(manual)
            if prepared:
                self._check_origin(manual, layout, skip_bad_images)
        except DataError as error:
            raise self._error(str(error), ["skip_bad_images"]) from error
        except (OSError, tf.errors.OpError) as error:
            problem = str(error)
            if isinstance(error, OSError) and is_refusal(error):
                problem = (
                    f"{name} is not there as it must be, and can't be written ({error.strerror}). "
                    "Name an own data_dir"
                )
            raise ArgumentError("data_dir", data_dir, problem) from error

    def split(self, name: str) -> Split:
        """Returns a split, which is read when it is first asked for.

        Args:
            name: train, query or gallery.

        Raises:
            UserError: the prepared data set is damaged.
        """
        if name not in self._splits:
            with stored_folder.readable(self.name, self._folder):
                self._splits[name] = _read(self._builder, name)
        return self._splits[name]

    def told(self) -> list[str]:
        """Returns lines on what the pictures are taken for: none, for it is known."""
        return []

    def has_split(self, name: str) -> bool:
        """Whether there are pictures in a split: always, in these data sets."""
        return True

    @property
    def notes(self) -> list[str]:
        """Lines for the user: differences from the official counts, pictures left out."""
        metadata = self._metadata()
        lines = list(metadata.get("official_comparison", ()))
        skipped = metadata.get("skipped") or ()
        if skipped:
            lines.append(
                f"{len(skipped)} unusable pictures were left out: {'; '.join(skipped[:5])}"
            )
        return lines

    def _wait(self, holder: str) -> None:
        print(f"data set {self.name}: waiting for {holder}, which prepares it", flush=True)

    def _prepare(self, manual: str) -> None:
        print(f"preparing data set {self.name} ...", flush=True)
        config = tfds.download.DownloadConfig(
            manual_dir=manual if os.path.isdir(manual) else None, try_download_gcs=False
        )
        self._builder.download_and_prepare(download_config=config)

    def _check_origin(self, manual: str, layout: Any, skip_bad_images: bool) -> None:
        """Raises a `UserError` unless the data set was prepared from what is asked for."""
        if layout is None:
            return
        metadata, folder, way_out = self._metadata(), self._folder, stored_folder.WAY_OUT
        if not {"fingerprint", "skipped"} <= metadata.keys():
            raise self._error(f"{folder} was prepared by another program. {way_out}", ["data_dir"])
        if metadata["skipped"] and not skip_bad_images:
            raise self._error(
                f"{folder} was prepared without {len(metadata['skipped'])} unusable pictures: pass "
                f"skip_bad_images. {way_out}",
                ["skip_bad_images", "data_dir"],
            )
        try:
            found = fingerprint(manual, layout)
        except DataError as error:
            # Once the data set is prepared, its archive may be gone.
            print(f"{self.name}: as prepared in {folder}; nothing to compare it with: {error}")
            return
        if found != metadata["fingerprint"]:
            raise self._error(
                f"{folder} was prepared from other pictures than those in {manual}. {way_out}",
                ["data_dir"],
            )

    def _metadata(self) -> dict[str, Any]:
        with stored_folder.readable(self.name, self._folder):
            return dict(self._builder.info.metadata or {})

    def _error(self, problem: str, also: Sequence[str] = ()) -> UserError:
        """Returns an error that names the data set, and other arguments in `also`."""
        return UserError(f"source or target {self.name}: {problem}", ["source", "target", *also])


def _read(builder: tfds.core.DatasetBuilder, split: str) -> Split:
    dataset = builder.as_dataset(
        split=split, decoders={"image": tfds.decode.SkipDecoding()}, shuffle_files=False
    )
    examples = sorted(tfds.as_numpy(dataset), key=lambda example: example["file_name"])
    images = np.empty(len(examples), dtype=object)
    images[:] = [example["image"] for example in examples]
    return Split(
        images,
        np.array([example["person_id"] for example in examples], np.int64),
        np.array([example["camera_id"] for example in examples], np.int64),
        [example["file_name"].decode() for example in examples],
    )

"""Toy re-identification: drawn pedestrians under two camera networks, no download."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from datasets.toy_reid import camera, roster


class Builder(tfds.core.GeneratorBasedBuilder):
    """The toy data set: its pictures are drawn when it is prepared; see README.md."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}  # noqa: RUF012
    BUILDER_CONFIGS = [  # noqa: RUF012
        # The name is the key of a camera network in `network.NETWORKS`.
        tfds.core.BuilderConfig(name="market", description="Summer market square, 6 cameras."),
        tfds.core.BuilderConfig(name="duke", description="Winter campus, 8 cameras."),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                    "person_id": np.int64,
                    "camera_id": np.int64,
                    "file_name": tfds.features.Text(),
                }
            ),
            supervised_keys=None,
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        del dl_manager  # Nothing is downloaded.
        return {split: self._generate_examples(split) for split in ("train", "query", "gallery")}

    def _generate_examples(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        config = self.builder_config.name
        for seen in roster.sightings(config, split):
            picture = camera.take(config, seen.number, seen.camera, seen.shot, seen.crop)
            yield (
                seen.file_name,
                {
                    "image": io.BytesIO(picture),
                    "person_id": seen.person_id,
                    "camera_id": seen.camera,
                    "file_name": seen.file_name,
                },
            )

"""The base of the builders whose pictures come from an official archive."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from datasets import archive


class ArchiveBuilder(  # type: ignore[call-arg]  # TFDS has no types.
    tfds.core.GeneratorBasedBuilder, skip_registration=True
):
    """Pictures of an official archive, or of a smaller archive of the same layout.

    Attributes:
        LAYOUT: of the archive; a subclass has its own.
        HOMEPAGE: address of the data set's authors; likewise.
    """

    LAYOUT: ClassVar[archive.Layout]
    HOMEPAGE: ClassVar[str]

    def __init__(self, *, skip_bad_images: bool = False, **kwargs: Any) -> None:
        """Creates the builder.

        Args:
            skip_bad_images: leave out pictures that do not decode, files with unknown names, and
                junk or distractors outside the gallery, and list them in
                `info.metadata["skipped"]`, instead of raising.
            **kwargs: passed to `tfds.core.GeneratorBasedBuilder`.
        """
        super().__init__(**kwargs)
        self._skip_bad_images = skip_bad_images

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                    "person_id": np.int64,  # as in the name: -1 junk, 0 distractor
                    "camera_id": np.int64,  # from 1
                    "file_name": tfds.features.Text(),
                }
            ),
            homepage=self.HOMEPAGE,
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        contents = archive.scan(archive.manual_dir(dl_manager), self.LAYOUT, self._skip_bad_images)
        self.info.metadata.clear()  # It may still hold what an overwritten data set had.
        self.info.metadata.update(contents.metadata)
        return {
            split: self._generate_examples(contents.source, pictures)
            for split, pictures in contents.splits.items()
        }

    def _generate_examples(
        self, source: epath.Path, pictures: list[archive.Picture]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        return archive.read_examples(source, pictures)

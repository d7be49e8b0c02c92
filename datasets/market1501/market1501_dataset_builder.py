"""Market-1501: six cameras in front of a supermarket."""

from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from datasets import archive

LAYOUT = archive.Layout(
    archive="Market-1501-v15.09.15.zip",
    folder="Market-1501-v15.09.15",
    # Identity, camera, sequence, frame, box; some copies repeat the suffix.
    name_pattern=r"(?P<person>-1|\d{1,9})_c(?P<camera>[1-9]\d{0,3})s\d+_\d+_\d+(\.jpg)+",
    name_example="0851_c4s5_041785_01.jpg",
    train_per_camera=(2017, 1709, 2707, 920, 2338, 3245),
    train_identities=751,
    query_pictures=3368,
    gallery_pictures=19732,
)


class Builder(tfds.core.GeneratorBasedBuilder):
    """Market-1501 from its official archive, or a smaller archive of the same layout."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""
    Put {LAYOUT.archive}, or the folder {LAYOUT.folder} extracted from it, into the manual
    directory. Its authors describe how to get it on
    https://zheng-lab.cecs.anu.edu.au/Project/project_reid.html
    """

    def __init__(self, *, skip_bad_images: bool = False, **kwargs):
        """Creates the builder.

        Args:
          skip_bad_images: leave out pictures that do not decode and files with unknown names,
            and list them in `info.metadata["skipped"]`, instead of raising.
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
            homepage="https://zheng-lab.cecs.anu.edu.au/Project/project_reid.html",
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        contents = archive.scan(archive.manual_dir(dl_manager), LAYOUT, self._skip_bad_images)
        self.info.metadata.clear()  # It may still hold what an overwritten data set had.
        self.info.metadata.update(contents.metadata)
        return {
            split: self._generate_examples(contents.source, pictures)
            for split, pictures in contents.splits.items()
        }

    def _generate_examples(self, source, pictures):
        return archive.read_examples(source, pictures)

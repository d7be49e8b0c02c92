"""Makes the documentation's pictures of drawn persons from a run of the demo.

    make demo
    .venv/bin/python -m docs.pictures --model_dir=runs/demo

Writes ranked_lists.png, three queries of toy_duke and what the run's model ranks first, and
gallery_search.png, a screenshot of the page that `serving.gallery search --html` writes for two of
them. Needs chromium on the PATH.
"""

import argparse
import dataclasses
import pathlib
import subprocess
import tempfile

import keras
import numpy as np
from PIL import Image

import arn_tf  # noqa: F401 - registers the model with Keras
from arn_tf.data.images import decode
from arn_tf.ranking import scores
from datasets.toy_reid import camera, roster
from serving import command
from serving.gallery import html_report, inner_products, records

IMAGES = pathlib.Path(__file__).parent / "images"
WINDOW = (1100, 945)  # width, height in pixels
TOP = 6  # pictures found for a query
COLOURS = 80  # of a saved picture
INSERTED_AT = 1_700_000_000


@dataclasses.dataclass(frozen=True)
class Pictures:
    """The pictures of one split of toy_duke.

    Attributes:
        images: encoded pictures, object [N].
        person_id: int [N].
        camera_id: int [N].
        files: their names.
    """

    images: np.ndarray
    person_id: np.ndarray
    camera_id: np.ndarray
    files: list[str]

    def __len__(self) -> int:
        return len(self.files)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model_dir", default="runs/demo", help="folder of a run of the demo")
    model_dir = pathlib.Path(parser.parse_args().model_dir)
    model = keras.models.load_model(model_dir / "model.keras")
    splits = [drawn("query"), drawn("gallery")]
    embeddings = [
        model.embed(np.stack([decode(each, model.input_size) for each in split.images]))
        for split in splits
    ]
    lists = scores.draw_ranked_lists(*embeddings, *splits, "toy_market to toy_duke: ARN", count=3)
    save(lists, "ranked_lists.png")
    save(screenshot_of_search(*embeddings, *splits), "gallery_search.png")


def drawn(split: str) -> Pictures:
    """Draws a split of toy_duke: "query" or "gallery"."""
    seen = list(roster.sightings("duke", split))
    images = np.empty(len(seen), object)
    images[:] = [camera.take("duke", s.number, s.camera, s.shot, s.crop) for s in seen]
    return Pictures(
        images,
        np.array([each.person_id for each in seen]),
        np.array([each.camera for each in seen]),
        [each.file_name for each in seen],
    )


def screenshot_of_search(
    query_embeddings: np.ndarray, gallery_embeddings: np.ndarray, query: Pictures, gallery: Pictures
) -> Image.Image:
    """The result page of a search for two queries, each among the pictures of other cameras.

    Args:
        query_embeddings: float32 [Q, D], of unit length.
        gallery_embeddings: float32 [G, D], likewise.
        query: `Pictures` of the queries.
        gallery: `Pictures` of the gallery.
    """
    with tempfile.TemporaryDirectory() as folder:
        query_paths, gallery_paths = (write(folder, split) for split in (query, gallery))
        results = []
        for row in (0, (len(query) - 1) // 2):  # as in the ranked lists
            others = np.flatnonzero(gallery.camera_id != query.camera_id[row])
            found, ranks = inner_products.nearest(
                query_embeddings[row : row + 1], gallery_embeddings[others], TOP
            )
            hits = [
                hit(gallery_paths[place], gallery.camera_id[place], score)
                for score, place in zip(found[0], others[ranks[0]], strict=True)
            ]
            results.append(html_report.Result(query_paths[row], str(query.camera_id[row]), hits))
        page = pathlib.Path(folder, "result.html")
        html_report.write(str(page), results, "gal/")
        return screenshot(page, folder)


def hit(path: str, camera_id: int, score: float) -> records.Hit:
    """What a search of a gallery finds."""
    return records.Hit(records.Picture(path, str(camera_id), b"", INSERTED_AT), float(score))


def write(folder: str, pictures: Pictures) -> list[str]:
    """Writes pictures as files and returns their paths."""
    paths = [str(pathlib.Path(folder, name)) for name in pictures.files]
    for path, data in zip(paths, pictures.images, strict=True):
        pathlib.Path(path).write_bytes(data)
    return paths


def screenshot(page: pathlib.Path, folder: str) -> Image.Image:
    """A page as headless Chromium shows it; `folder` takes its profile and the file."""
    file = pathlib.Path(folder, "shot.png")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    flags += ["--hide-scrollbars", f"--user-data-dir={folder}/profile", f"--screenshot={file}"]
    flags += [f"--window-size={WINDOW[0]},{WINDOW[1]}"]
    command = ["chromium", *flags, page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with Image.open(file) as picture:
        return picture.convert("RGB")


def save(picture: Image.Image, name: str) -> None:
    """Writes a picture of few colours to docs/images."""
    few = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(IMAGES / name, optimize=True)


if __name__ == "__main__":
    command.run(main)

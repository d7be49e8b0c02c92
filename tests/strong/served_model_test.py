"""The signatures of a strong export, under the C++ session that TensorFlow Serving runs it in."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from arn_tf.data.images import decode
from arn_tf.served import publish
from arn_tf.strong import camera_statistics
from arn_tf.strong.model import StrongModel
from arn_tf.strong.served_model import served_model
from tests.support import cpp_session, small_data, small_exif, small_strong, small_tables

SIZE = small_strong.SIZE
# Of several sizes: the graph resizes.
PICTURES = [
    small_data.picture(person, 1 + person % 2, 1, (128, 64) if person % 3 else SIZE)
    for person in range(1, 9)
]
IMAGES = np.stack([decode(picture, SIZE).numpy() for picture in PICTURES])
CAMERAS = np.array([4, 1, 2**40, 5, -1, 1, -(2**63), 2**63 - 1])
KNOWN = [True, True, True, False, False, True, False, False]
COUNT = "give camera_id one number for each picture, -1 where it is unknown"
EMPTY = "the batch is empty: send one picture or more"


def strings(values: Sequence[bytes]) -> np.ndarray:
    return np.array(values, dtype=object)


def by_camera(
    pictures: Sequence[bytes] | np.ndarray, camera_id: object
) -> tuple[str, dict[str, np.ndarray]]:
    """Returns a request for the signature that these pictures are for."""
    name = "images_by_camera" if getattr(pictures, "dtype", None) == np.uint8 else "by_camera"
    field = "images" if name == "images_by_camera" else "image_bytes"
    value = pictures if field == "images" else strings(pictures)
    return name, {field: value, "camera_id": np.asarray(camera_id, np.int64)}


# One picture in every orientation: 6 and 8 undo each other, and each other undoes itself.
TURNED = [
    small_exif.png(
        small_exif.chunk(b"eXIf", small_exif.exif(value, "<>"[value % 2])),
        image=Image.fromarray(small_exif.turned(IMAGES[0], {6: 8, 8: 6}.get(value, value))),
    )
    for value in small_exif.ORIENTATIONS
]
DAMAGED = [small_exif.jpeg(), *small_exif.damaged_jpegs().values()]
RANK_0 = np.empty((), dtype=object)
RANK_0[()] = PICTURES[0]
REFUSED = {
    "one camera too few": (by_camera(PICTURES, CAMERAS[:-1]), COUNT),
    "one camera too many": (by_camera(PICTURES[:-1], CAMERAS), COUNT),
    "one camera for all": (by_camera(PICTURES, CAMERAS[:1]), COUNT),
    "no camera": (by_camera(PICTURES, []), COUNT),
    "cameras alone": (by_camera([], CAMERAS), COUNT),
    "a number": (by_camera(PICTURES[:1], 4), "Shape of tensor"),
    "a column": (by_camera(PICTURES, CAMERAS[:, None]), "Shape of tensor"),
    "nothing at all": (by_camera([], []), EMPTY),
    "bytes of rank 0": (
        ("by_camera", {"image_bytes": RANK_0, "camera_id": CAMERAS[:1]}),
        "Shape of tensor",
    ),
    "bytes of rank 2": (by_camera([PICTURES], CAMERAS), "Shape of tensor"),
    "a bad picture": (by_camera([PICTURES[0], b"text"], [4, 4]), "neither JPEG nor PNG"),
    "rubbish, and a camera too few": (by_camera([b"text"] * 2, [4]), COUNT),
    "images: one camera too few": (by_camera(IMAGES, CAMERAS[:-1]), COUNT),
    "images: one camera too many": (by_camera(IMAGES[:-1], CAMERAS), COUNT),
    "images: a number": (by_camera(IMAGES[:1], 4), "Shape of tensor"),
    "images: a column": (by_camera(IMAGES, CAMERAS[:, None]), "Shape of tensor"),
    "images: nothing at all": (by_camera(IMAGES[:0], []), EMPTY),
    "images: one without a batch": (by_camera(IMAGES[0], CAMERAS), "Shape of tensor"),
    "images: rank 0": (by_camera(IMAGES[0, 0, 0, 0], 4), "Shape of tensor"),
    "images: another size": (by_camera(IMAGES[:, 1:], CAMERAS), "Shape of tensor"),
    "images alone of no picture": (("images", {"images": IMAGES[:0]}), EMPTY),
    "bytes alone of no picture": (("serving_default", {"image_bytes": strings([])}), EMPTY),
}
ANSWERED = {
    "bytes": by_camera(PICTURES, CAMERAS),
    "images": by_camera(IMAGES, CAMERAS),
    **{
        f"alone {row}": by_camera(IMAGES[row : row + 1], CAMERAS[row : row + 1]) for row in range(8)
    },
    "plain bytes": ("serving_default", {"image_bytes": strings(PICTURES)}),
    "plain images": ("images", {"images": IMAGES}),
    "stored turned": ("serving_default", {"image_bytes": strings(TURNED)}),
    "damaged EXIF": ("serving_default", {"image_bytes": strings(DAMAGED)}),
}


@pytest.fixture(scope="module")
def model() -> StrongModel:
    return small_strong.model()


def outcomes(model: StrongModel, folder: pathlib.Path, cases: Mapping[str, Any]) -> dict[str, Any]:
    """Returns {case: the session's answer or error}.

    All in one process: none of them may end it.
    """
    publish.save(served_model(model), str(folder))
    return dict(zip(cases, cpp_session.outcomes(folder, list(cases.values())), strict=True))


@pytest.fixture(scope="module")
def found(model: StrongModel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    cases = {name: case for name, (case, _) in REFUSED.items()} | ANSWERED
    return outcomes(model, tmp_path_factory.mktemp("model"), cases)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(found, name):
    assert isinstance(found[name], str), "it was answered"
    assert found[name].startswith("InvalidArgumentError: ")
    assert REFUSED[name][1] in found[name]


@pytest.mark.parametrize("name", ["bytes", "images"])
def test_each_picture_by_its_camera(found, model, name):
    expected = model(IMAGES, model.table.rows_of(CAMERAS)).numpy()
    np.testing.assert_allclose(found[name]["embedding"], expected, rtol=0, atol=1e-5)
    assert found[name]["camera_known"].tolist() == KNOWN


def test_a_picture_is_embedded_upright_however_it_is_stored(found):
    embeddings = found["stored turned"]["embedding"]
    expected = np.repeat(found["plain images"]["embedding"][:1], len(TURNED), axis=0)
    np.testing.assert_allclose(embeddings, expected, rtol=0, atol=1e-5)


def test_damaged_exif_is_upright_and_ends_no_process(found):
    embeddings = found["damaged EXIF"]["embedding"]
    expected = np.repeat(embeddings[:1], len(DAMAGED), axis=0)
    np.testing.assert_allclose(embeddings, expected, rtol=0, atol=1e-5)


def test_mixed_cameras_are_as_each_alone(found):
    alone = [found[f"alone {row}"] for row in range(8)]
    rows = np.concatenate([each["embedding"] for each in alone])
    np.testing.assert_allclose(found["images"]["embedding"], rows, rtol=0, atol=1e-5)
    assert [bool(each["camera_known"][0]) for each in alone] == KNOWN


@pytest.mark.parametrize("name", ["plain bytes", "plain images"])
def test_without_cameras_and_for_unknown_ones_it_is_the_whole_target(found, name):
    plain, mixed = found[name], found["images"]
    assert sorted(plain) == ["embedding", "embedding_space"]
    unknown = ~np.array(KNOWN)
    np.testing.assert_allclose(
        mixed["embedding"][unknown], plain["embedding"][unknown], rtol=0, atol=1e-5
    )
    others = np.abs(mixed["embedding"] - plain["embedding"])[~unknown].max(axis=1)
    assert others.min() > 0.01


def test_a_model_without_cameras(tmp_path):
    model = small_strong.model(cameras=[])
    cases = {"mixed": by_camera(IMAGES, CAMERAS), "plain": ("images", {"images": IMAGES})}
    found = outcomes(model, tmp_path, cases)
    assert found["mixed"]["camera_known"].tolist() == [False] * 8
    np.testing.assert_allclose(found["mixed"]["embedding"], found["plain"]["embedding"], atol=1e-5)


# The embedding space.


def space(model: StrongModel, precision: str | None = None) -> str:
    return served_model(model, precision).embedding_space


def test_cameras_do_not_change_the_space(model):
    images = np.random.default_rng(0).integers(0, 256, (140, *SIZE, 3), np.uint8)
    camera_id = np.repeat([1, 77], 70)
    refreshed, _ = camera_statistics.refresh(model, images, camera_id)
    assert refreshed.cameras == [1, 4, 77, 2**40]
    old, new = small_tables.rows(model, 3), small_tables.rows(refreshed, 2)
    assert np.any(new["mean"] != old["mean"])
    dropped = camera_statistics.with_cameras(model, [4])
    assert space(refreshed) == space(dropped) == space(model)


def test_the_space_is_that_of_all_else(model):
    changed = [small_strong.model() for _ in range(4)]
    assert space(changed[0]) == space(model)
    changed[0].encoder_i.weights[0].assign(changed[0].encoder_i.weights[0] * 1.0001)
    for each, key, row in (
        (changed[1], "mean", 0),
        (changed[2], "variance", 1),
        (changed[3], "embedding_mean", 1),
    ):
        variable = small_tables.columns(each)[key]
        values = variable.numpy()
        values[row] += 0.01
        variable.assign(values)
    others = [small_strong.model(last_stride=2), small_strong.model(input_size=(32, 32))]
    spaces = {space(each) for each in [model, *changed, *others]} | {space(model, "bfloat16")}
    assert len(spaces) == 8
    # What doesn't touch an embedding doesn't change its space.
    trained = small_strong.model()
    trained.classifier.kernel.assign_add(tf.ones_like(trained.classifier.kernel))
    assert space(trained) == space(model)

"""The study of calibration: what it draws, and that it is the product that it measures."""

import numpy as np
import pytest

from arn_tf.data.split import Split
from arn_tf.ranking import protocol
from arn_tf.strong.camera_statistics import estimate, own_share
from arn_tf.strong.embedding import embed_by_camera
from arn_tf.strong.model import StrongModel
from studies import calibration, camera_crops, camera_features
from tests.support import small_dots


@pytest.fixture(scope="module")
def model() -> StrongModel:
    return small_dots.model()


@pytest.fixture(scope="module")
def pictures() -> dict[str, np.ndarray]:
    """Returns dark and bright pictures of two cameras, in turns."""
    counts = {"train": 40, "query": 8, "gallery": 12}
    found = {}
    for seed, (name, count) in enumerate(counts.items()):
        found[name] = small_dots.crops(seed, count, 0, 150)
        found[name][1::2] += 100
    return found


def split(count: int) -> Split:
    return Split(
        images=np.empty(count, object),
        person_id=np.arange(count) // 2 + 1,
        camera_id=np.arange(count) % 2 + 1,
        file_name=[f"{row}.jpg" for row in range(count)],
    )


@pytest.fixture(scope="module")
def found(model: StrongModel, pictures: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    splits = {name: split(len(each)) for name, each in pictures.items()}
    adapted, _ = estimate(model, pictures["train"], splits["train"].camera_id)
    return {
        f"{name}_{key}": value
        for name, each in splits.items()
        for key, value in camera_features.features(adapted, each, pictures[name]).items()
    }


def test_pictures_that_are_drawn():
    camera_id = np.array([1, 2] * 50)
    rng = np.random.default_rng(0)
    for order in camera_crops.ORDERS:
        rows = camera_crops.drawn(camera_id, 7, order, rng)
        assert list(rows) == [1, 2]
        for camera, few in rows.items():
            assert len(set(few.tolist())) == 7 and set(camera_id[few]) == {camera}
            assert (order == "in a row") == bool(np.all(np.diff(few) == 2))


def test_training_pictures_are_spread_evenly(monkeypatch):
    monkeypatch.setattr(camera_features, "MOST", 3)
    rows = camera_features.spread(np.array([4] * 5 + [9, 9] + [4] * 4))
    np.testing.assert_array_equal(rows, [0, 4, 5, 6, 10])


@pytest.mark.parametrize("layers", [True, False])
def test_what_is_measured_is_what_the_product_does(model, pictures, found, layers):
    """Rows of all pictures at the product's share: the embeddings of `embed_by_camera`."""
    camera_id = found["train_camera_id"]
    adapted, _ = estimate(model, pictures["train"], camera_id, layers=layers)
    embeddings = [
        embed_by_camera(adapted, pictures[name], found[f"{name}_camera_id"])
        for name in ("query", "gallery")
    ]
    labels = [
        found[f"{n}_{key}"] for key in ("person_id", "camera_id") for n in ("query", "gallery")
    ]
    expected = protocol.rank_gallery(*embeddings, *labels)
    rows = {camera: np.flatnonzero(camera_id == camera) for camera in (1, 2)}
    share, now, of_whole, of_camera = own_share(20), found, "running", "running"
    if layers:
        now = camera_crops.Refilled(model, found, pictures)(rows, share)
        of_whole, of_camera = "target", "camera"
    whole = camera_features.moments(now[f"train_{of_whole}"])
    mixed = {
        camera: camera_crops.shrunk(
            camera_features.moments(now[f"train_{of_camera}"][:, few]), whole, share
        )
        for camera, few in rows.items()
    }
    if not layers:
        mixed = {camera: (mean, np.ones_like(mean)) for camera, (mean, _) in mixed.items()}
    precision, rank_1 = camera_features.precision(now, of_camera, mixed)
    np.testing.assert_allclose(precision, expected.average_precision, rtol=1e-6)
    assert rank_1 == expected.rank(1)


def test_all_combinations_and_their_table(found):
    rows = calibration.combinations(found)
    assert len(rows) == 3 * 3 + 1
    # Without statistics of the embedding: the plain features of both views.
    unit = [
        sum(view / np.linalg.norm(view, axis=1, keepdims=True) for view in found[f"{name}_running"])
        for name in ("query", "gallery")
    ]
    labels = [
        found[f"{n}_{key}"] for key in ("person_id", "camera_id") for n in ("query", "gallery")
    ]
    expected = protocol.rank_gallery(*unit, *labels).average_precision
    np.testing.assert_allclose(rows["running, none"]["average_precision"], expected, rtol=1e-6)
    by_number = camera_crops.by_number(found, "running", 2)
    figures = {"combinations": rows, "layers": "running", "by_number": by_number}
    lines = calibration.report("a run", figures).splitlines()
    assert lines[0] == "a run: 8 queries"
    assert sum(line.endswith("| +0.0 [+0.0, +0.0] |") for line in lines[:15]) >= 1
    assert [line[:4] for line in lines if line.startswith(("| 3 ", "| 8 ", "| 16 "))] == [
        "| 3 ",
        "| 8 ",
        "| 16",
    ] * 2


def test_priors_go_from_the_target_to_the_camera(found):
    """All of the target, or nothing: what the rows are called."""
    by_number = camera_crops.by_number(found, "running", 1)
    whole = camera_features.moments
    for number in (3, 16):
        rng = np.random.default_rng(number)
        rows = camera_crops.drawn(found["train_camera_id"], number, "at random", rng)
        vectors = found["train_running"]
        own = {camera: whole(vectors[:, few]) for camera, few in rows.items()}
        every = whole(vectors[:, np.concatenate(list(rows.values()))])
        for name, moments in (("camera", own), ("target", dict.fromkeys(own, every))):
            means = {camera: (mean, np.ones_like(mean)) for camera, (mean, _) in moments.items()}
            expected, _ = camera_features.precision(found, "running", means)
            np.testing.assert_allclose(
                by_number["at random"][str(number)][name], expected, rtol=1e-6
            )

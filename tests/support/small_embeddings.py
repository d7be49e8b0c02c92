"""Embeddings in the plane and of persons, and what every score across cameras must hold to."""

import math

import numpy as np
import pytest

from arn_tf.strong import directions


def at(*degrees: float) -> np.ndarray:
    """Returns embeddings in the plane at these angles, float64 [N, 2]."""
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def persons(
    seed: int,
    count: int = 12,
    pictures: int = 6,
    cameras: int = 3,
    noise: float = 0.3,
    width: int = 32,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns embeddings and camera_id of pictures of persons by every camera in turn."""
    random = np.random.default_rng(seed)
    centres = np.repeat(random.standard_normal((count, width)), pictures, axis=0)
    embeddings = centres + noise * random.standard_normal(centres.shape)
    return embeddings.astype(np.float32), np.tile(
        np.arange(1, cameras + 1), len(centres) // cameras
    )


def cosines(embeddings: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
    """Returns the cosine of each of some embeddings to each of others, by default themselves."""
    units = [
        np.array([row / np.linalg.norm(row) for row in each], np.float64)
        for each in (embeddings, embeddings if others is None else others)
    ]
    return units[0] @ units[1].T


class CrossCameraTests:
    """Tests of scores that look across cameras.

    A class of tests that inherits them has a fixture `cross_camera`: a function of embeddings and
    camera_id.
    """

    def test_unknown_cameras_are_left_out(self, cross_camera):
        embeddings, camera = persons(7, noise=1)
        unknown = np.full(len(camera), -1)
        more = np.concatenate([embeddings, np.roll(embeddings, 7, axis=1)])
        found = cross_camera(more, np.concatenate([camera, unknown]))
        assert found == pytest.approx(cross_camera(embeddings, camera))

    @pytest.mark.parametrize("camera", [np.full(8, 1), np.full(8, -1), np.array([-1] * 7 + [1])])
    def test_is_nan_without_two_cameras(self, cross_camera, camera):
        assert math.isnan(cross_camera(np.eye(8), camera))

    def test_neither_length_nor_order_matters(self, cross_camera):
        embeddings, camera = persons(8, noise=1)
        order = np.random.default_rng(9).permutation(len(camera))
        scale = np.linspace(0.5, 9, len(camera))[:, np.newaxis]
        found = cross_camera((embeddings * scale)[order], camera[order])
        assert found == pytest.approx(cross_camera(embeddings, camera), rel=1e-5)

    def test_blocks_do_not_matter(self, cross_camera, monkeypatch):
        embeddings, camera = persons(10, noise=1)
        whole = cross_camera(embeddings, camera)
        monkeypatch.setattr(directions, "_BLOCK", 7)
        assert cross_camera(embeddings, camera) == pytest.approx(whole, rel=1e-6)

    def test_names_cameras_of_other_pictures(self, cross_camera):
        with pytest.raises(ValueError, match="camera_id"):
            cross_camera(np.eye(8), np.arange(7))

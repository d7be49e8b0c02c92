"""The batches that training sees, from images and from maps."""

import numpy as np
import pytest
import tensorflow as tf

from arn_tf.data.images import decode
from arn_tf.data.reid_data import ReidData
from arn_tf.data.sampling import Sampler
from arn_tf.paper.batches import training_batches
from tests.support import small_data

SIZE = (16, 8)


@pytest.fixture(scope="module")
def splits():
    return [ReidData(name, **small_data.inputs()).split("train") for name in ("market", "duke")]


@pytest.fixture(scope="module")
def sampler(splits):
    return Sampler(splits[0].labels()[0], len(splits[1]), 8, 2, seed=3)


def fake_maps(domain, number):
    """[N, 2, 1, 2, 3]: every number says which domain, picture and view it belongs to."""
    rows, views = np.meshgrid(np.arange(number), [0, 1], indexing="ij")
    values = 1000 * domain + 10 * rows + views
    return np.broadcast_to(values[:, :, None, None, None], (number, 2, 1, 2, 3)).astype(np.float16)


def batches(dataset):
    return [{key: value.numpy() for key, value in batch.items()} for batch in dataset]


def test_batches_of_images_follow_the_plan(splits, sampler):
    dataset = training_batches(sampler, *(s.images for s in splits), range(1, 3), image_size=SIZE)
    found = batches(dataset)
    assert len(found) == 2 * sampler.steps_per_epoch == 6
    for number, batch in enumerate(found):
        assert set(batch) == {"source_images", "source_labels", "target_images"}
        plan, step = sampler.epoch(1 + number // 3), number % 3
        np.testing.assert_array_equal(
            batch["source_labels"], sampler.labels[plan.source_rows[step]]
        )
        for split, domain in zip(splits, ("source", "target"), strict=True):
            rows, flips = (getattr(plan, f"{domain}_{kind}")[step] for kind in ("rows", "flips"))
            images = batch[f"{domain}_images"]
            assert (images.dtype, images.shape) == (np.uint8, (8, *SIZE, 3))
            for image, row, flip in zip(images, rows, flips, strict=True):
                straight = decode(split.images[row], SIZE).numpy()
                np.testing.assert_array_equal(image, np.flip(straight, 1) if flip else straight)


def test_some_pictures_are_mirrored_and_some_are_not(sampler):
    plan = sampler.epoch(0)
    assert 0 < plan.source_flips.mean() < 1
    assert 0 < plan.target_flips.mean() < 1


def test_batches_of_maps_hold_the_same_pictures(splits, sampler):
    maps = [fake_maps(domain, len(split)) for domain, split in enumerate(splits)]
    for number, batch in enumerate(batches(training_batches(sampler, *maps, range(2)))):
        plan, step = sampler.epoch(number // 3), number % 3
        assert batch["source_maps"].dtype == np.float16
        assert batch["source_maps"].shape == batch["target_maps"].shape == (8, 1, 2, 3)
        np.testing.assert_array_equal(
            batch["source_maps"][:, 0, 1, 2], 10 * plan.source_rows[step] + plan.source_flips[step]
        )
        np.testing.assert_array_equal(
            batch["target_maps"][:, 0, 0, 0],
            1000 + 10 * plan.target_rows[step] + plan.target_flips[step],
        )
        np.testing.assert_array_equal(
            batch["source_labels"], sampler.labels[plan.source_rows[step]]
        )


def test_a_later_start_gives_the_rest_of_the_same_batches(splits, sampler):
    maps = [fake_maps(domain, len(split)) for domain, split in enumerate(splits)]
    whole = batches(training_batches(sampler, *maps, range(4)))
    rest = batches(training_batches(sampler, *maps, range(2, 4)))
    for a, b in zip(whole[6:], rest, strict=True):
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])
    assert not np.array_equal(whole[0]["source_maps"], rest[0]["source_maps"])


def test_source_only_batches_hold_no_target_picture(splits, sampler):
    maps = [fake_maps(domain, len(split)) for domain, split in enumerate(splits)]
    dataset = training_batches(sampler, *maps, range(1), with_target=False)
    assert set(dataset.element_spec) == {"source_maps", "source_labels"}


def test_shapes_are_known_before_anything_is_read(splits, sampler):
    dataset = training_batches(sampler, *(s.images for s in splits), range(1), image_size=SIZE)
    assert dataset.element_spec["target_images"] == tf.TensorSpec((8, *SIZE, 3), tf.uint8)
    assert dataset.element_spec["source_labels"] == tf.TensorSpec((8,), tf.int32)

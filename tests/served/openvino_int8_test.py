"""An int8 export is near the model, smaller, and of another embedding space."""

import dataclasses
import sys

import numpy as np
import pytest

from arn_tf.data.images import decode
from arn_tf.errors import UserError
from arn_tf.served import compare_runtime, openvino_int8, publish, to_openvino
from arn_tf.served.openvino_int8 import Int8
from tests.support import small_export, small_strong
from tests.support.small_export import PICTURES, SIZE


def test_it_is_near_smaller_and_another_space(tmp_path):
    pytest.importorskip("nncf")
    model = small_strong.model()
    served = small_export.served(model)
    cameras = [small_strong.CAMERAS[place % 3] for place in range(len(PICTURES))]
    runtime = Int8(PICTURES, cameras)
    quantized = runtime.served(served)
    assert quantized.embedding_space != served.embedding_space
    # Other pictures give other ranges, and so do other cameras.
    others = Int8(PICTURES[:4], cameras[:4]), Int8(PICTURES, [*cameras[1:], cameras[0]])
    spaces = {each.served(served).embedding_space for each in (runtime, *others)}
    assert len(spaces) == 3
    folder, sidecar = publish.export(quantized, tmp_path / "int8", PICTURES, runtime=runtime)
    _, exact = publish.export(served, tmp_path / "float32", PICTURES, runtime=to_openvino)
    assert sidecar["precision"] == "int8" and "nncf" in sidecar["versions"]
    assert sidecar["embedding_space"] == quantized.embedding_space
    assert sidecar["weights_bytes"] < 0.8 * exact["weights_bytes"]
    agreement = sidecar["agreement"]
    # Not the float32 graphs under another name.
    assert exact["agreement"]["max_difference"] < 1e-4 < agreement["max_difference"]
    assert 0.95 <= agreement["mean_cosine"] < 0.99999
    images = np.stack([decode(picture, SIZE).numpy() for picture in PICTURES])
    rows = np.array([2, 3, 4, 1, 1], np.int32)
    found = to_openvino.load(folder)["images_by_camera"](images, rows)
    assert (found * model(images, rows).numpy()).sum(axis=1).mean() > 0.95


def test_a_missing_package_is_named(monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(UserError, match=r"package nncf: pip install -r requirements-int8\.txt"):
        openvino_int8.versions()


def test_a_network_that_does_not_bear_it_is_refused():
    served = small_export.served(small_strong.model())
    served = dataclasses.replace(served, precision="int8", exact=False)
    examples = served.examples(PICTURES)

    def wrong(images: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
        name = compare_runtime.PLAIN if rows is None else compare_runtime.BY_CAMERA
        return -examples[name][1]["embedding"][: len(images)]

    graphs = dict.fromkeys((compare_runtime.PLAIN, compare_runtime.BY_CAMERA), wrong)
    with pytest.raises(
        UserError, match=r"mean cosine -.*nothing was published\. .* bear precision=int8 .*leave"
    ) as refused:
        compare_runtime.compare(served, graphs, PICTURES, "openvino")
    assert refused.value.arguments == ("precision",)

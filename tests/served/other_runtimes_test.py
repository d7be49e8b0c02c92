"""Exports as ONNX and for LiteRT compute what the model does, for every camera."""

import json
import os
import sys

import numpy as np
import pytest

from arn_tf.data.images import decode
from arn_tf.errors import UserError
from arn_tf.served import publish, to_litert, to_onnx
from tests.support import small_export, small_strong
from tests.support.small_export import PICTURES, SIZE

IMAGES = np.stack([decode(picture, SIZE).numpy() for picture in PICTURES])


@pytest.fixture(scope="module")
def model():
    return small_strong.model()


@pytest.fixture(scope="module", params=[to_onnx, to_litert], ids=["onnx", "litert"])
def runtime(request):
    if request.param is to_onnx:
        for package in ("onnx", "onnxruntime", "tf2onnx"):
            pytest.importorskip(package)
    return request.param


def test_every_picture_by_its_camera_s_row(runtime, model, tmp_path):
    served = small_export.served(model)
    folder, sidecar = publish.export(served, tmp_path / "arn", PICTURES, runtime=runtime)
    with open(os.path.join(folder, publish.SIDECAR), encoding="utf-8") as file:
        assert json.load(file) == sidecar
    assert sidecar["format"] == runtime.NAME
    assert sidecar["embedding_space"] == served.embedding_space
    assert sidecar["agreement"]["least_cosine"] > 0.9999 and sidecar["weights_bytes"] > 0
    assert set(sidecar["versions"]) == {"tensorflow", "keras", *runtime.versions()}
    assert sorted(os.listdir(folder)) == ["assets.extra", *sorted(runtime.FILES.values())]
    graphs, rows = runtime.load(folder), sidecar["camera_rows"]
    asked = np.array([rows[str(2**40)], rows["4"], 0, 5, -7], np.int32)
    expected = model(IMAGES, model.table.rows_of([2**40, 4, -1, -1, -1])).numpy()
    found = graphs["images_by_camera"](IMAGES, asked)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    plain = model(IMAGES, model.table.rows_of([-1] * 5)).numpy()
    np.testing.assert_allclose(graphs["images"](IMAGES, None), plain, rtol=0, atol=1e-4)


def test_a_model_without_cameras(runtime, tmp_path):
    model = small_export.model()
    served = small_export.served(model)
    folder, _ = publish.export(served, tmp_path / "arn", PICTURES, runtime=runtime)
    assert list(runtime.load(folder)) == ["images"]


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"needs the package onnx: .*-r requirements-onnx\.txt"):
        to_onnx.versions()

"""A version of any format is loaded as one function, and gives what the others give."""

import numpy as np
import pytest

from arn_tf.data.images import decode
from arn_tf.errors import UserError
from arn_tf.served import loaded, to_openvino
from tests.support import small_strong
from tests.support.small_export import PICTURES, SIZE

IMAGES = np.stack([decode(picture, SIZE).numpy() for picture in PICTURES])


@pytest.mark.parametrize("cameras", [None, [4, 2**40, 2**40 + 1, -1, 1]])
def test_cameras_are_the_same_in_both(cameras):
    pytest.importorskip("openvino")
    camera_id = None if cameras is None else np.array(cameras, np.int64)
    model = small_strong.model()
    expected = model(IMAGES, model.table.rows_of([-1] * 5 if cameras is None else cameras))
    for runtime in (None, to_openvino):
        sidecar, embed = loaded.load(str(small_strong.models(runtime) / "arn" / "1"))
        assert sidecar["cameras"] == small_strong.CAMERAS
        np.testing.assert_allclose(embed(IMAGES, camera_id), expected, rtol=0, atol=1e-4)


def test_what_is_no_version(tmp_path):
    with pytest.raises(UserError, match=f"exports={tmp_path}: no version of an export"):
        loaded.load(str(tmp_path))

"""The study of exports scores what an export computes, each picture by its camera."""

import numpy as np
import pytest

from arn_tf.data.images import decode
from arn_tf.data.split import Split
from arn_tf.ranking import scores
from arn_tf.served import to_openvino
from studies import exports
from tests.support import small_data, small_strong


def split(shot: int) -> Split:
    """Four persons in two cameras; of the second none has statistics of its own."""
    pairs = [(person, camera) for person in range(1, 5) for camera in (1, 2)]
    return Split(
        images=np.array(
            [small_data.picture(*pair, shot, small_strong.SIZE) for pair in pairs], object
        ),
        person_id=np.array([person for person, _ in pairs]),
        camera_id=np.array([camera for _, camera in pairs]),
        file_name=[f"{person}_{camera}.jpg" for person, camera in pairs],
    )


def test_the_table(capsys):
    pytest.importorskip("openvino")
    query, gallery = split(1), split(2)
    folders = [str(small_strong.models(each) / "arn" / "1") for each in (None, to_openvino)]
    exports.compare(folders, query, gallery)
    lines = capsys.readouterr().out.splitlines()
    model = small_strong.model()
    vectors = [
        model(
            np.stack([decode(picture, small_strong.SIZE).numpy() for picture in each.images]),
            model.table.rows_of(each.camera_id),
        ).numpy()
        for each in (query, gallery)
    ]
    expected = 100 * scores.score(*vectors, query, gallery).mean_ap
    assert lines[0] == "8 queries, 8 gallery pictures"
    assert lines[-2].startswith(f"| {folders[0]} | saved_model | float32 | {expected:.2f} |")
    assert lines[-1].startswith(f"| {folders[1]} | openvino | float32 | {expected:.2f} |")
    assert lines[-1].endswith("| +0.00 [+0.00, +0.00] |")

"""The paper's recipe with a user's folders as source and target."""

import shutil

import pytest

from arn_tf.paper import evaluate, train
from arn_tf.run.labelled import Labelled
from tests.support import small_data
from tests.support.user_errors import refused


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("own")
    for person in range(1, 7):
        for camera in (1, 2):
            (root / "crops" / f"gate{camera}").mkdir(parents=True, exist_ok=True)
            (root / "persons").mkdir(exist_ok=True)
            for shot in (1, 2):
                file = root / "persons" / f"p{person}_{camera}_{shot}.jpg"
                file.write_bytes(small_data.picture(person, camera, shot))
                crop = small_data.picture(person + 50, camera, shot)
                (root / "crops" / f"gate{camera}" / f"{person}_{shot}.jpg").write_bytes(crop)
    return root


def test_it_trains_without_labels_and_goes_on_without_the_folders(folders, capsys):
    settings = small_data.settings(
        folders / "run",
        source=str(folders / "persons"),
        source_names="p{person_id}_{camera}_{*}",
        target=str(folders / "crops"),
        **small_data.SHORT,
    )
    run = train.train(settings)
    labelled = Labelled(query=str(folders / "persons"), names="p{person_id}_{camera}_{*}")
    assert evaluate.evaluate(run, settings, None, labelled).rows
    with refused("no person of the target is known"):
        evaluate.evaluate(run, settings)
    shutil.move(folders / "crops", folders / "elsewhere")
    assert train.train(settings).path == run.path
    assert evaluate.evaluate(run, settings, None, labelled).rows
    capsys.readouterr()
    with refused("no person of the target is known"):
        evaluate.evaluate(run, settings)
    printed = capsys.readouterr().out
    assert "crops: neither a folder" in printed and "The run goes on" in printed
    # Another run needs them.
    with refused("--target=.*/crops: no such folder or table"):
        small_data.settings(folders / "other", target=str(folders / "crops")).check()

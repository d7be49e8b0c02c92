"""What takes seconds to make, once a session; which worker runs what.

Fixtures import what they need themselves: most tests need no TensorFlow.
"""

import pytest

# Whole runs: with two workers each is made in one of them, where all its tests are.
RUNS = ("strong_training", "paper_run")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Groups tests by file for workers, and files that share a whole run with each other.

    The groups of the runs come first, being the longest.
    """
    if not config.getoption("loadgroup", False):  # What xdist makes of --dist in a worker.
        return
    group_of = {}
    for run in RUNS:
        group_of |= {item.path: run for item in items if run in item.fixturenames}
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of.get(item.path, item.path.as_posix())))
    items.sort(key=lambda item: item.path not in group_of)


@pytest.fixture(scope="session")
def paper_run():
    """The `RunDir` of a whole run with the settings of `small_data.TINY`."""
    from arn_tf.paper import train
    from tests.support import small_data

    return train.train(small_data.settings(small_data.folder() / "finished"))


@pytest.fixture(scope="session")
def strong_training():
    """The `RunDir` of a whole run with the settings of `small_strong.TINY`, and its output."""
    from tests.support import small_data, small_strong

    folder = small_data.folder() / "small_strong" / "run"
    return small_strong.trained(small_strong.settings(folder))


@pytest.fixture(scope="session")
def strong_run(strong_training):
    """The `RunDir` of `strong_training`."""
    return strong_training[0]


@pytest.fixture(scope="session")
def stopped_training():
    """As `strong_training`, on less: six persons can't be the eight clusters that a round needs.

    Nor are 12 pictures of a camera enough for a row.
    """
    from tests.support import small_data, small_strong

    folder = small_data.folder() / "small_strong" / "stopped"
    changes = {"epochs": 1, "batch_size": 8, "images_per_identity": 2}
    return small_strong.trained(small_strong.settings(folder, **changes, **small_data.inputs()))


@pytest.fixture(scope="session")
def calibrated_run():
    """The `RunDir` of a finished run whose model knows cameras 1 and 2."""
    from tests.support import small_calibration, small_data

    return small_calibration.finished(small_data.folder() / "calibrated")


@pytest.fixture(scope="session")
def calibrated_arn():
    """On a real E_I; tests change nothing but the running statistics of its normalisations."""
    from tests.support.small_arn import random_images, small_arn

    model = small_arn(backbone="MobileNetV2", dropout=0.0, margin=1.2)
    model.calibrate(model.feature_maps(random_images(9, 20)))
    return model

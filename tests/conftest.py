"""What takes seconds to make, once a session; which worker runs what.

Fixtures import what they need themselves: most tests need no TensorFlow.
"""

import os
import pathlib
import re
import sys

import pytest

from datasets import tensorflow_process

# Tests compute as the programs do, some of which they start and compare with.
tensorflow_process.prepare()
# Keras's own settings, in this process and those that tests start, whatever the file of the user
# says: no file is below os.devnull, and no test needs the weights of that folder.
for variable in [name for name in os.environ if name.startswith("KERAS_")]:
    del os.environ[variable]
os.environ["KERAS_HOME"] = os.devnull
# Tests import OpenVINO themselves, too: see arn_tf/served/openvino_package.py.
sys.modules.setdefault("openvino_telemetry", None)

# Session fixtures that are worth a worker: all files that name one run where it is made.
WHOLE_RUNS = {"strong": r"\bstrong_(run|training)\b", "paper": r"\bpaper_run\b"}


def group_of(file: pathlib.Path) -> str | None:
    """Returns the whole run that a test file shares with others, or None."""
    text = file.read_text()
    return next((run for run, name in WHOLE_RUNS.items() if re.search(name, text)), None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object | None:
    """With `--dist=loadfile`: files in one worker each, those that share a run in the same one."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return group_of(config.rootpath / file) or file

    return Scheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a worker: the files that share a run come first, being the longest work."""
    if hasattr(config, "workerinput"):
        groups = {file: group_of(file) for file in {item.path for item in items}}
        items.sort(key=lambda item: [*WHOLE_RUNS, None].index(groups[item.path]))


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

    And 12 pictures of a camera are few: their statistics are shrunk.
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

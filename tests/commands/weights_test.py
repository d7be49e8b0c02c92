"""`python -m arn_tf.weights`: what it says of a file, and its exit status."""

import dataclasses
import subprocess
import sys

from arn_tf.backbones import osnet, osnet_config
from tests.support import small_osnets, small_resnets, torch_files
from tests.support.places import ROOT


def run(folder, *arguments):
    line = [sys.executable, "-m", "arn_tf.weights", *arguments]
    path = {"PYTHONPATH": str(ROOT), "PATH": "", "KERAS_HOME": str(folder)}
    return subprocess.run(line, cwd=folder, env=path, capture_output=True, text=True)


def test_a_file_that_can_be_used(tmp_path):
    small_osnets.saved(tmp_path / "my weights.pth", "OSNetAIN_x0_25")
    done = run(tmp_path, "my weights.pth")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "my weights.pth",
        "  format: PyTorch (torch.save, zip)",
        "  network: OSNetAIN, width x0_25, channels 16, 64, 96, 128",
        "  parameters: 207,656 in 475 tensors",
        "  embedding: 512 numbers",
        "  classifier: of 7 classes; not used",
        "  preprocessing: RGB, 0..1, mean 0.485, 0.456, 0.406, deviation 0.229, 0.224, 0.225",
        "It can be used: --preset=strong --backbone=OSNetAIN --backbone_weights='my weights.pth'",
    ]


def test_a_resnet_is_used_as_it_was_trained(tmp_path):
    small_resnets.saved(tmp_path / "resnet50.pth")
    done = run(tmp_path, "resnet50.pth")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == (
        "It can be used: --preset=strong --backbone=ResNet50 --backbone_weights=resnet50.pth "
        "--last_stride=2"
    )


def test_a_learned_average_is_of_pictures_of_one_size(tmp_path):
    config = dataclasses.replace(osnet_config.named("OSNetAIN_x0_25"), average_size=(3, 2))
    arrays = small_osnets.tensors(osnet.build(config, config.input_size))
    torch_files.saved(tmp_path / "file.pth", arrays)
    done = run(tmp_path, "file.pth")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].endswith("--backbone_weights=file.pth --input_size=48x32")


def test_a_tensor_that_is_missing(tmp_path):
    """Found where the network is built, after its facts."""
    changes = {"conv5.bn.running_var": None}
    small_osnets.saved(tmp_path / "file.pth", "OSNet_x0_25", changes=changes)
    done = run(tmp_path, "file.pth")
    assert (done.returncode, done.stderr) == (1, "")
    last = done.stdout.splitlines()[-1]
    assert last.startswith("file.pth: can't be used: conv5.bn.running_var, of shape (128,), is mi")


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "page.pth").write_text("<html>")
    done = run(tmp_path, "page.pth")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("page.pth: can't be used: not a file of PyTorch's torch.save")

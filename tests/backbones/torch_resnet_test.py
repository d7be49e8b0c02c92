"""A ResNet with torchreid's weights, beside what PyTorch computes with the same."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from arn_tf.backbones import networks, public_weights
from arn_tf.strong.model import StrongModel
from arn_tf.weight_files.bad_weights import BadWeights
from tests.support import small_data, small_resnets, torch_files
from tests.support.user_errors import refused

SIZE = (70, 45)
# By torch 2.13.0, its modules put together as torchreid does: of two pictures the first six numbers
# of the feature, without a head and with one of six.
FEATURES = {
    0: [
        [0.18474, 1.67767, 0.0, 10.22461, 10.76798, 2.48827],
        [0.20324, 1.19244, 0.0, 8.46298, 11.32634, 1.95412],
    ],
    6: [
        [2.43073, 0.0, 0.0, 25.10087, 0.0, 0.0],
        [2.03074, 0.0, 0.0, 25.21262, 0.0, 0.0],
    ],
}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return small_resnets.saved(tmp_path_factory.mktemp("weights") / "resnet50.pth")


def images():
    return np.random.default_rng(1).integers(0, 256, (2, *SIZE, 3), np.int64).astype("f4")


def encoded(network, facts):
    return network(networks.preprocessing("ResNet50", facts)(tf.constant(images())))


@pytest.mark.parametrize("head", FEATURES)
def test_what_pytorch_computes(head, tmp_path):
    path = small_resnets.saved(tmp_path / "file.pth.tar", head)
    network, facts = networks.build("ResNet50", SIZE, path)
    maps = encoded(network, facts)
    assert maps.shape == ((2, 1, 1, 6) if head else (2, 3, 2, 256))
    features = tf.reduce_mean(maps, axis=[1, 2])[:, :6]
    np.testing.assert_allclose(features, FEATURES[head], rtol=1e-4, atol=1e-4)
    # Without the file.
    again, _ = networks.build("ResNet50", SIZE, "gone.pth", facts)
    again.set_weights(network.get_weights())
    np.testing.assert_array_equal(encoded(again, facts), maps)


@pytest.mark.parametrize(
    ("blocks", "name"), [((3, 4, 23, 3), "ResNet101"), ((3, 8, 36, 3), "ResNet152")]
)
def test_deeper_ones_are_known_by_their_blocks(blocks, name, tmp_path):
    """Of 33 and 50 blocks, with three convolutions each and two layers around: He et al., 2016."""
    assert 3 * sum(blocks) + 2 == int(name.removeprefix("ResNet"))
    arrays = small_resnets.tensors(blocks=blocks)
    path = torch_files.saved(tmp_path / "file.pth", arrays, "state_dict")
    found = dict(public_weights.read(path).facts())
    assert found["network"] == f"{name}, channels 8, 32, 64, 128, 256"
    # One block fewer is no network of theirs.
    last = f"layer3.{blocks[2] - 1}."
    fewer = {key: value for key, value in arrays.items() if not key.startswith(last)}
    path = torch_files.saved(tmp_path / "fewer.pth", fewer, "state_dict")
    with pytest.raises(BadWeights):
        public_weights.read(path)


def test_what_is_in_the_file(file):
    found = dict(public_weights.read(file).facts())
    assert found["network"] == "ResNet50, channels 8, 32, 64, 128, 256"
    assert found["embedding"] == "256 numbers"
    assert found["classifier"] == "of 7 classes; not used"


def test_torchvisions_classifier_is_not_used(tmp_path):
    arrays = small_resnets.tensors()
    for part in ("weight", "bias"):
        arrays[f"fc.{part}"] = arrays.pop(f"classifier.{part}")
    found = public_weights.read(torch_files.saved(tmp_path / "resnet50.pth", arrays))
    assert (found.classes, found.config.head) == (7, ())
    networks.made_of(found, SIZE)


@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet101", "OSNetAIN"])
def test_another_name(name, file):
    for refusing in (lambda: networks.check(name, file), lambda: networks.build(name, SIZE, file)):
        with refused(rf"^--backbone={name}: {file} holds ResNet50; pass --backbone=ResNet50"):
            refusing()


def test_a_file_that_is_cut_off(tmp_path):
    arrays = small_resnets.tensors()
    del arrays["layer3.5.bn2.running_var"]
    path = torch_files.saved(tmp_path / "resnet50.pth", arrays)
    with refused("layer3.5.bn2.running_var, of shape .32,., is missing"):
        networks.build("ResNet50", SIZE, path)


OTHERS = {
    "another depth": ("layer3.5.conv3.weight", None),
    "groups of channels": ("layer1.0.conv2.weight", (8, 2, 3, 3)),
    "a wider block": ("layer2.0.conv3.weight", (64, 32, 1, 1)),
    "nothing but a width": ("conv1.weight", (2**30, 0)),
    "no width": ("conv1.weight", (0, 3, 7, 7)),
    "a head of nothing": ("fc.0.weight", (2**33, 0)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_resnets_are_not_known(name, tmp_path):
    """And are told before a network of their widths is built."""
    tensor, shape = OTHERS[name]
    arrays = small_resnets.tensors()
    if shape is None:
        del arrays[tensor]
    else:
        arrays[tensor] = np.zeros(shape, "<f4")
    path = torch_files.saved(tmp_path / "resnet.pth", arrays)
    with refused(f"^--backbone_weights={path}: the weights of a ResNet with other layers"):
        networks.check("ResNet50", path)


def test_other_names_of_a_resnet(tmp_path):
    arrays = {f"backbone.{name}": array for name, array in small_resnets.tensors().items()}
    path = torch_files.saved(tmp_path / "resnet.pth", arrays)
    with refused("a ResNet with other layers, or under other names"):
        networks.check("ResNet50", path)


def directory(content, place, new):
    """Changes the last directory of a zip file: from its end, or of its first entry."""
    changed = bytearray(content)
    start = content.rindex(b"PK\5\6") if place >= 12 else content.index(b"PK\1\2")
    changed[start + place : start + place + len(new)] = new
    return bytes(changed)


@pytest.mark.parametrize(
    ("place", "new"), [(6, b"\x63\x00"), (16, b"\xf0\xff\xff\x7f")], ids=["version", "offset"]
)
def test_a_broken_archive(place, new, file, tmp_path):
    path = tmp_path / "broken.pth"
    with open(file, "rb") as whole:
        path.write_bytes(directory(whole.read(), place, new))
    with refused(f"^--backbone_weights={path}: the file is broken.*fetch it again"):
        networks.check("ResNet50", str(path))


@pytest.mark.parametrize("ending", ["weights.h5", "keras"])
def test_files_of_keras_are_kerass(ending, tmp_path):
    """Its archives are zip files, as PyTorch's are."""
    network = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(64, 32, 3))
    path = str(tmp_path / f"file.{ending}")
    (network.save_weights if ending == "weights.h5" else network.save)(path)
    assert not public_weights.is_one(path)
    if ending == "weights.h5":
        built, facts = networks.build("ResNet50", (64, 32), path)
        assert facts is None
        np.testing.assert_array_equal(built.get_weights()[0], network.get_weights()[0])


@pytest.mark.parametrize("stride", [1, 2])
def test_the_strong_model(stride, file, tmp_path):
    model = StrongModel(0, "ResNet50", file, SIZE, last_stride=stride)
    maps = model.feature_maps(images())
    assert maps.shape == ((2, 5, 3, 256) if stride == 1 else (2, 3, 2, 256))
    found = model(images())
    if stride == 2:
        feature = model.plain_features(images())
        np.testing.assert_allclose(feature[:, :6], FEATURES[0], rtol=1e-4, atol=1e-4)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images()), found)


def test_the_paper_begins_at_keras(file):
    settings = small_data.settings("runs/none", backbone="ResNet50", backbone_weights=file)
    with refused(f"^--backbone_weights={file}: a file of PyTorch.*--preset=strong"):
        settings.check()


@pytest.mark.parametrize("stride", [1, 2])
def test_one_with_a_head_has_no_last_stride(stride, tmp_path):
    """So torchreid trained it."""
    path = small_resnets.saved(tmp_path / "resnet50_fc6.pth", head=6)
    model = StrongModel(0, "ResNet50", path, SIZE, last_stride=stride)
    features = model.plain_features(images())
    np.testing.assert_allclose(features, FEATURES[6], rtol=1e-4, atol=1e-4)

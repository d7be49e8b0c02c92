"""Which networks E_I can be, and what is said where it can't."""

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format

from arn_tf.backbones import keras_applications, networks
from arn_tf.errors import UserError
from tests.support.places import SHARED
from tests.support.user_errors import refused

pytestmark = pytest.mark.filterwarnings("ignore:.input_shape. is undefined or non-square")

WEIGHTS = SHARED / "weights/mobilenetv2_imagenet_notop.weights.h5"
# Where every network of keras.applications fetches its files.
DOWNLOAD = "keras.src.utils.file_utils.get_file"


def small(weights="random", name="MobileNetV2", size=(32, 32)):
    return keras_applications.build(name, size, weights)


@pytest.fixture(scope="module")
def network():
    return small()


def assert_equal_weights(left, right):
    for a, b in zip(left.get_weights(), right.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("ResNet50", keras.applications.resnet50),
        ("MobileNetV2", keras.applications.mobilenet_v2),
        ("EfficientNetB0", keras.applications.efficientnet),
    ],
)
def test_application_owns_the_preprocessing(name, module):
    found = keras_applications.application(name)
    assert getattr(found, name) is getattr(keras.applications, name)
    pixels = np.arange(256, dtype="f4").reshape(1, 16, 16, 1).repeat(3, axis=-1)
    np.testing.assert_array_equal(
        found.preprocess_input(pixels.copy()), module.preprocess_input(pixels.copy())
    )


@pytest.mark.parametrize("name", ["ResNet51", "resnet50", "", "preprocess_input2"])
def test_unknown_network(name):
    with pytest.raises(UserError) as error:
        keras_applications.application(name)
    text = str(error.value)
    assert f"backbone={name}: " in text
    assert "EfficientNetB0" in text
    assert "MobileNetV2, " in text
    assert "ResNet50, " in text


@pytest.mark.parametrize("name", ["preprocess_input", "decode_predictions", "__name__"])
def test_what_is_no_network(name):
    with pytest.raises(UserError, match=f"backbone={name}: not a network"):
        keras_applications.application(name)


@pytest.mark.parametrize(
    ("size", "map_size"), [((32, 32), (1, 1)), ((64, 32), (2, 1)), ((96, 64), (3, 2))]
)
def test_maps_of_any_size(size, map_size):
    built = small(size=size)
    assert built.input_shape == (None, *size, 3)
    assert built.output_shape == (None, *map_size, 1280)


def test_input_too_small():
    with pytest.raises(UserError, match=r"backbone=MobileNetV2 with input_size=\(16, 16\)"):
        small(size=(16, 16))


def test_random_weights_need_no_download(monkeypatch):
    monkeypatch.setattr(DOWNLOAD, lambda *_, **__: pytest.fail("fetched a file"))
    assert any(np.std(value) > 0 for value in small().get_weights())


@pytest.mark.parametrize("name", [name for name in dir(keras.applications) if name[0].isupper()])
def test_every_network_has_its_preprocessing(name):
    assert callable(keras_applications.application(name).preprocess_input)


def test_paths_of_variables_do_not_depend_on_what_was_built_before():
    """Xception leaves some of its layers to Keras's counter."""
    first, second = (keras_applications.build("Xception", (71, 71), "random") for _ in range(2))
    paths = [[variable.path for variable in network.variables] for network in (first, second)]
    assert paths[0] == paths[1]
    assert len(set(paths[0])) == len(paths[0])
    assert first.name == second.name == "xception"


def test_weights_file(network, tmp_path):
    path = str(tmp_path / "mine.weights.h5")
    network.save_weights(path)
    assert_equal_weights(small(path), network)
    # Convolutions fit any size of picture.
    assert_equal_weights(small(path, size=(64, 32)), network)


def test_legacy_weights_file(network, tmp_path):
    """The kind that keras.applications publishes."""
    path = str(tmp_path / "mobilenet_v2_no_top.h5")
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    assert_equal_weights(small(path), network)


@pytest.mark.skipif(not WEIGHTS.exists(), reason=f"no {WEIGHTS.name} beside the repository")
def test_published_weights():
    mean, variance = small(str(WEIGHTS)).get_layer("bn_Conv1").get_weights()[2:]
    # Of a trained network, unlike the zeros and ones that it starts with.
    assert np.std(mean) > 0
    assert np.std(variance) > 0


@pytest.mark.parametrize("path", ["nowhere.weights.h5", "", "."])
def test_missing_file(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no such file\. Pass imagenet, random or") as error:
        small(path)
    assert f"backbone_weights={path}:" in str(error.value)


def foreign_dense(path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.save_weights(path)


def foreign_mobilenet(path):
    keras.applications.MobileNet(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    ).save_weights(path)


def narrower(path):
    keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.35
    ).save_weights(path)


def broken(path):
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))


def truncated(path):
    small().save_weights(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("make", [foreign_dense, foreign_mobilenet, narrower, broken, truncated])
def test_foreign_or_broken_file(make, tmp_path):
    path = tmp_path / "file.weights.h5"
    make(path)
    with pytest.raises(UserError) as error:
        small(str(path))
    assert f"backbone_weights={path}: not a weights file of MobileNetV2 without its head" in str(
        error.value
    )
    assert "backbone=NAME." in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("call", [keras_applications.check, networks.check])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(100),
        b"<html>404 Not Found</html>",
        b"version https://git-lfs.github.com/spec/v1",
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_file_of_no_known_kind(content, call, tmp_path):
    """Before a run reads its pictures, too."""
    path = tmp_path / "file.weights.h5"
    path.write_bytes(content)
    with refused(f"^--backbone_weights={path}: not a weights file of Keras.* look at its size$"):
        call("MobileNetV2", str(path))
    with refused(f"^--backbone_weights={path}: not a weights file of Keras"):
        small(str(path))


def test_imagenet_without_a_network(monkeypatch):
    def fail(fname=None, origin=None, **_):
        raise Exception(f"URL fetch failure on {origin}: None -- [Errno -2] Name not known")

    monkeypatch.setattr(DOWNLOAD, fail)
    with pytest.raises(UserError) as error:
        small("imagenet")
    text = str(error.value)
    assert text.startswith("backbone_weights=imagenet: could not fetch the ImageNet weights")
    assert "of MobileNetV2 (URL fetch failure on https://" in text
    assert "backbone_weights=FILE" in text
    assert "backbone_weights=random" in text


def test_imagenet_fetches_the_published_file(network, tmp_path, monkeypatch):
    path, asked = str(tmp_path / "fetched.weights.h5"), []
    network.save_weights(path)

    def fetch(fname=None, origin=None, **_):
        asked.append(origin)
        return path

    monkeypatch.setattr(DOWNLOAD, fetch)
    assert_equal_weights(small("imagenet", size=(64, 32)), network)
    assert len(asked) == 1
    assert asked[0].startswith("https://storage.googleapis.com/tensorflow/keras-applications/")
    assert asked[0].endswith("no_top.h5")


def test_a_clone_normalises_with_the_statistics_it_was_given():
    """EfficientNet begins with such a layer; `set_weights` alone leaves its old statistics."""
    layers = [keras.Input((4, 4, 3)), keras.layers.Normalization(), keras.layers.Flatten()]
    network = keras.Sequential(layers)
    network.layers[0].adapt(np.random.default_rng(0).normal(5, 3, (8, 4, 4, 3)))
    clone = keras.models.clone_model(network)
    keras_applications.copy_weights(network, clone)
    images = np.full((1, 4, 4, 3), 7.0, np.float32)
    np.testing.assert_allclose(clone(images), network(images), rtol=1e-6)

"""E_I: any classifier of `keras.applications` without its head, with its own preprocessing."""

import os
import re
import sys
from collections.abc import Callable
from types import ModuleType

import keras

from arn_tf.errors import ArgumentError, UserError

# How Keras's files of weights begin: HDF5, its archive, the list of a weights file in parts.
_STARTS = (b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"{")


def application(name: str) -> ModuleType:
    """Returns the module of a network of `keras.applications`, with its `preprocess_input`.

    Raises:
        UserError: no such network; the text lists those there are.
    """
    networks = {key: value for key, value in vars(keras.applications).items() if key[0].isupper()}
    if name not in networks:
        raise ArgumentError(
            "backbone",
            name,
            "not a network of keras.applications. There are: " + ", ".join(sorted(networks)),
        )
    return sys.modules[networks[name].__module__]


def build(name: str, input_size: tuple[int, int], weights: str = "imagenet") -> keras.Model:
    """Builds E_I: float [B, height, width, 3], preprocessed -> X, float [B, h, w, C].

    Args:
        name: of the network, as in `keras.applications`.
        input_size: (height, width) in pixels.
        weights: "imagenet" (downloaded by Keras), "random", or the path of a weights file of this
            network without its head.

    Raises:
        UserError: unknown network, an input that it can't take, weights that are missing, can't
            be fetched or belong to another network.
    """
    make = getattr(application(name), name)
    shape = (*input_size, 3)
    try:
        network = make(include_top=False, weights=None, input_shape=shape)
    except ValueError as error:
        raise UserError(
            f"backbone={name} with input_size={input_size}: {error}", ["backbone", "input_size"]
        ) from error
    if weights == "imagenet":
        _load_imagenet(network, make, name, shape)
    elif weights != "random":
        _load_file(network, name, os.path.expanduser(weights))
    return _with_lasting_names(network)


def check(name: str, weights: str) -> None:
    """Checks that there is such a network, and a file of Keras's weights where they are one's.

    Args:
        name: of the network, as in `keras.applications`.
        weights: "imagenet", "random", or the path of a weights file.

    Raises:
        UserError: there isn't.
    """
    application(name)
    if weights in ("imagenet", "random"):
        return
    path = os.path.expanduser(weights)
    if not os.path.isfile(path):
        raise ArgumentError(
            "backbone_weights",
            weights,
            "no such file. Pass imagenet, random or the path of a weights file of "
            f"{name} without its head (include_top=False).",
        )
    try:
        with open(path, "rb") as file:
            start = file.read(8)
    except OSError as error:
        problem = f"can't be read ({error.strerror})"
        raise ArgumentError("backbone_weights", weights, problem) from error
    if not start.startswith(_STARTS):
        raise ArgumentError(
            "backbone_weights",
            weights,
            f"not a weights file of Keras, which {name} needs, nor one of public weights. A page "
            "that says that the file can't be had, or a pointer of Git LFS, is sometimes saved "
            "under its name: look at its size",
        )


def _with_lasting_names(network: keras.Model) -> keras.Model:
    """Returns the same network, whose variables have equal paths each time that it is built.

    Some networks of `keras.applications` leave layers to Keras's counter, which goes on from
    model to model; a saved optimizer knows its variables by their paths.
    """
    names = {
        id(layer): f"encoder_i_{place}" if _is_counted(layer) else layer.name
        for place, layer in enumerate(network.layers)
    }
    if all(names[id(layer)] == layer.name for layer in network.layers if layer.weights):
        return network
    lasting = keras.models.clone_model(
        network,
        clone_function=lambda layer: type(layer).from_config(
            layer.get_config() | {"name": names[id(layer)]}
        ),
    )
    copy_weights(network, lasting)
    return lasting


def copy_weights(network: keras.Model, clone: keras.Model) -> None:
    """Gives a clone of a network its weights."""
    clone.set_weights(network.get_weights())
    for layer in clone.layers:
        # It computes with copies of its statistics, which `set_weights` leaves behind.
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def _is_counted(layer: keras.layers.Layer) -> bool:
    """Returns whether Keras named a layer after its class and a counter: conv2d, conv2d_1, ..."""
    name = re.sub(r"_\d+$", "", layer.name).replace("_", "")
    return name == type(layer).__name__.lower()


def _load_imagenet(
    network: keras.Model, make: Callable[..., keras.Model], name: str, shape: tuple[int, ...]
) -> None:
    try:
        copy_weights(make(include_top=False, weights="imagenet", input_shape=shape), network)
    except Exception as error:  # Keras raises a bare Exception where a download fails.
        raise ArgumentError(
            "backbone_weights",
            "imagenet",
            f"could not fetch the ImageNet weights of {name} ({_first_line(error)}). Without a "
            "network, pass backbone_weights=FILE with a 'notop' weights file of "
            "keras.applications fetched elsewhere, or backbone_weights=random to try the program "
            "out.",
        ) from error


def _load_file(network: keras.Model, name: str, path: str) -> None:
    check(name, path)
    try:
        network.load_weights(path)
    except Exception as error:  # h5py and Keras raise many kinds for a foreign or broken file.
        raise ArgumentError(
            "backbone_weights",
            path,
            f"not a weights file of {name} without its head ({_first_line(error)}). Name the "
            "network that it belongs to with backbone=NAME.",
            also=["backbone"],
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200] or type(error).__name__

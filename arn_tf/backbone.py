"""E_I: any classifier of `keras.applications` without its head, with its own preprocessing."""

import os
import types

import keras

from arn_tf.errors import UserError


def application(name):
    """The `keras.applications` module that builds `name` and owns its `preprocess_input`.

    Raises:
        UserError: no such network; the text lists those there are.
    """
    names = set()
    for module in vars(keras.applications).values():
        if isinstance(module, types.ModuleType) and hasattr(module, "preprocess_input"):
            if name[:1].isupper() and name in vars(module):
                return module
            names |= {key for key, value in vars(module).items() if key[0].isupper()}
    raise UserError(
        f"--backbone={name} is not a network of keras.applications. There are: "
        + ", ".join(sorted(names))
    )


def build(name, input_size, weights="imagenet"):
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
        raise UserError(f"--backbone={name} with --input_size={input_size}: {error}") from error
    if weights == "imagenet":
        _load_imagenet(network, make, name, shape)
    elif weights != "random":
        _load_file(network, name, weights)
    return network


def _load_imagenet(network, make, name, shape):
    try:
        network.set_weights(
            make(include_top=False, weights="imagenet", input_shape=shape).get_weights()
        )
    except Exception as error:  # Keras raises a bare Exception where a download fails.
        raise UserError(
            f"--backbone_weights=imagenet: could not fetch the ImageNet weights of {name} "
            f"({_first_line(error)}). Without a network, pass --backbone_weights=FILE with a "
            "'notop' weights file of keras.applications fetched elsewhere, or "
            "--backbone_weights=random to try the program out."
        ) from error


def _load_file(network, name, path):
    if not os.path.isfile(path):
        raise UserError(
            f"--backbone_weights={path}: no such file. Pass imagenet, random or the path of a "
            f"weights file of {name} without its head (include_top=False)."
        )
    try:
        network.load_weights(path)
    except Exception as error:  # h5py and Keras raise many kinds for a foreign or broken file.
        raise UserError(
            f"--backbone_weights={path}: not a weights file of {name} without its head "
            f"({_first_line(error)}). Name the network that it belongs to with --backbone."
        ) from error


def _first_line(error):
    return str(error).strip().split("\n")[0][:200] or type(error).__name__

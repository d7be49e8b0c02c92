"""E_I by name: any network of keras.applications, or one of PyTorch with public weights.

These are OSNets, and the ResNets of PyTorch, which share their names with those of
`keras.applications`; which of them it is tells the file of weights. What is known of such a network
beside its name, its widths and how it takes pixels, is its file's, too: `facts` hold it as JSON
can, so that a saved model needs that file no more.
"""

from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from arn_tf.backbones import (
    keras_applications,
    osnet,
    osnet_config,
    public_weights,
    resnet_config,
    torch_layers,
    torch_resnet,
)
from arn_tf.backbones.osnet_config import OSNetConfig
from arn_tf.backbones.preprocessing import Preprocessing
from arn_tf.backbones.resnet_config import ResNetConfig
from arn_tf.errors import ArgumentError
from arn_tf.weight_files.bad_weights import BadWeights

Facts = Mapping[str, Mapping]


def build(
    name: str, input_size: tuple[int, int], weights: str, facts: Facts | None = None
) -> tuple[keras.Model, Facts | None]:
    """Builds E_I: float [B, height, width, 3], preprocessed -> X, float [B, h, w, C].

    Args:
        name: as in `keras.applications`, or of an OSNet: OSNet, OSNetIBN, OSNetAIN, with _x0_25
            and the like for a narrower one.
        input_size: (height, width) in pixels.
        weights: "imagenet", "random" or the path of a weights file.
        facts: of the network that was built before; None: its name's, or its file's.

    Returns:
        the network, and the facts of one with public weights or an OSNet; None of another.

    Raises:
        UserError: see `keras_applications.build`; or a file that can't be read, or that
            belongs to another network than the name says.
    """
    if facts is not None:
        return _of_config(_config(facts), input_size, _model_name(name)), facts
    own = osnet_config.named(name)
    if own is not None and weights == "random":
        return osnet.build(own, input_size, _model_name(name)), _facts(own, Preprocessing())
    if own is None and not public_weights.is_one(weights):
        return keras_applications.build(name, input_size, weights), None
    found = _read(name, weights)
    try:
        network = made_of(found, input_size)
    except BadWeights as error:
        raise ArgumentError("backbone_weights", weights, str(error)) from error
    return network, _facts(found.config, found.preprocessing)


def check(name: str, weights: str) -> None:
    """Checks a name and weights without building the network, before a run reads its pictures.

    Args:
        name: as `build` takes it.
        weights: likewise.

    Raises:
        UserError: as `build`, but for what only shows when weights are given to the network.
    """
    if osnet_config.named(name) is None:
        keras_applications.application(name)
        if not public_weights.is_one(weights):
            keras_applications.check(name, weights)
            return
    elif weights == "random":
        return
    _read(name, weights)


def made_of(found: public_weights.PublicWeights, input_size: tuple[int, int]) -> keras.Model:
    """Builds the network of a weights file.

    Raises:
        BadWeights: a tensor is missing, left over or doesn't fit.
        UserError: an input that is too small.
    """
    network = _of_config(found.config, input_size, found.backbone.lower())
    torch_layers.assign(network, found.tensors)
    return network


def keeps_last_map(facts: Facts | None) -> bool:
    """Whether the last stage of a ResNet of PyTorch keeps the size of its map; False of others."""
    config = None if facts is None else _config(facts)
    return isinstance(config, ResNetConfig) and config.last_stride == 1


def preprocessing(name: str, facts: Facts | None) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns what makes the network's input of RGB images in 0..255, float [B, h, w, 3]."""
    if facts is None:
        return keras_applications.application(name).preprocess_input
    return Preprocessing.from_json(facts["preprocessing"])


def _read(name: str, weights: str) -> public_weights.PublicWeights:
    if weights == "imagenet":
        raise ArgumentError(
            "backbone_weights",
            weights,
            f"no weights are fetched for {name}. Take a file of torchreid's model zoo "
            "(https://kaiyangzhou.github.io/deep-person-reid/MODEL_ZOO), trained for "
            "re-identification, and pass backbone_weights=FILE; or backbone_weights=random to try "
            "the program out",
        )
    try:
        found = public_weights.read(weights)
    except BadWeights as error:
        raise ArgumentError("backbone_weights", weights, str(error)) from error
    _check_name(name, weights, found)
    return found


def _model_name(name: str) -> str:
    """Whatever the width: paths of variables say what they are, not how wide."""
    return name.partition("_")[0].lower()


def _of_config(
    config: public_weights.Config, input_size: tuple[int, int], name: str
) -> keras.Model:
    if isinstance(config, ResNetConfig):
        return torch_resnet.build(config, input_size, name)
    return osnet.build(config, input_size, name)


def _config(facts: Facts) -> public_weights.Config:
    fields = facts["architecture"]
    kind = ResNetConfig if resnet_config.is_json(fields) else OSNetConfig
    return kind.from_json(fields)


def _facts(config: public_weights.Config, preprocessing: Preprocessing) -> Facts:
    return {"architecture": config.to_json(), "preprocessing": preprocessing.to_json()}


def _check_name(name: str, path: str, found: public_weights.PublicWeights) -> None:
    kind, _, width = name.partition("_")
    if kind == found.backbone and width in ("", found.width):
        return
    there = f"{found.backbone}_{found.width}" if found.width else found.backbone
    raise ArgumentError(
        "backbone",
        name,
        f"{path} holds {there}; pass backbone={found.backbone}",
        also=["backbone_weights"],
    )

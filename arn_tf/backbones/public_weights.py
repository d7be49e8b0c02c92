"""A file of public re-identification weights: which network they are, and how it takes pictures."""

import dataclasses
import importlib
import os
import zipfile
from collections.abc import Mapping

import numpy as np

from arn_tf.backbones import resnet_config, torchreid_names
from arn_tf.backbones.osnet_config import OSNetConfig
from arn_tf.backbones.preprocessing import Preprocessing
from arn_tf.backbones.resnet_config import ResNetConfig
from arn_tf.weight_files import onnx_file, open_model_zoo, openvino_ir, torch_file
from arn_tf.weight_files.bad_weights import BadWeights
from datasets.files import answers

Config = OSNetConfig | ResNetConfig
# What readers meet in a file that says what can't be: a shape that no memory holds, a number of
# thousands of digits, constants within constants.
_OF_BROKEN_FILES = (ArithmeticError, MemoryError, RecursionError, ValueError)


@dataclasses.dataclass(frozen=True)
class PublicWeights:
    """What a file holds.

    Attributes:
        format: of the file, for people.
        backbone: OSNet, OSNetIBN, OSNetAIN, ResNet50, ResNet101 or ResNet152.
        width: of an OSNet, x1_0, x0_25, ...; "" for another.
        config: of the network.
        preprocessing: that it was trained with.
        tensors: {name of a layer's weight: array} in PyTorch's shapes.
        classes: of the classifier, which isn't used; None without one.
    """

    format: str
    backbone: str
    width: str
    config: Config
    preprocessing: Preprocessing
    tensors: dict[str, np.ndarray]
    classes: int | None

    @property
    def parameters(self) -> int:
        """How many numbers are used, batch statistics among them."""
        return sum(tensor.size for tensor in self.tensors.values())

    def facts(self) -> list[tuple[str, str]]:
        """Returns (name, text) of what a user wants to know."""
        classes = "none" if self.classes is None else f"of {self.classes} classes; not used"
        channels = ", ".join(map(str, self.config.channels))
        width = f"width {self.width}, " if self.width else ""
        return [
            ("format", self.format),
            ("network", f"{self.backbone}, {width}channels {channels}"),
            ("parameters", f"{self.parameters:,} in {len(self.tensors)} tensors"),
            ("embedding", f"{self.config.embedding_dim} numbers"),
            ("classifier", classes),
            ("preprocessing", str(self.preprocessing)),
        ]


def read(path: str) -> PublicWeights:
    """Reads a file and tells what it holds.

    Raises:
        BadWeights: no such file, of a kind that can't be read, or of a network that isn't known.
    """
    form, tensors = _tensors(path)
    own = torchreid_names.canonical(tensors)
    known = _known(own)
    if known is None:
        raise BadWeights(_foreign(tensors))
    name, width, config = known
    return PublicWeights(
        format=form,
        backbone=name,
        width=width,
        config=config,
        # torchreid's own, for all that it or its fork of the Open Model Zoo trains.
        preprocessing=Preprocessing(),
        tensors=own,
        classes=torchreid_names.classes(tensors),
    )


def is_one(path: str) -> bool:
    """Whether a file is of a kind that `read` takes, and none of Keras's.

    Args:
        path: of the file; "imagenet" and "random" are none, nor is one that can't be read.
    """
    if path in ("imagenet", "random"):
        return False
    path = os.path.expanduser(path)
    try:
        start = _start(path)
    except (BadWeights, OSError, ValueError):
        return False
    # Keras's own archives are zip files, as PyTorch's are.
    if start.startswith(b"PK\x03\x04") and _is_keras(path):
        return False
    kinds = (torch_file, openvino_ir, onnx_file)
    return path.endswith(".safetensors") or any(kind.is_one(start) for kind in kinds)


def _is_keras(path: str) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "config.json" in archive.namelist()
    except Exception:  # of a broken one: it has errors of many kinds, and `read` tells of them
        return False


def _known(tensors: Mapping[str, np.ndarray]) -> tuple[str, str, Config] | None:
    """Returns name, width and configuration of the network that has such tensors."""
    osnet = torchreid_names.config_of(tensors)
    if osnet:
        name = torchreid_names.name_of(osnet)
        return (*name, osnet) if name else None
    resnet = resnet_config.config_of(tensors)
    return (resnet_config.RESNETS[resnet.blocks], "", resnet) if resnet else None


def _start(path: str) -> bytes:
    """Returns the first bytes of a file; to open a pipe would wait for who writes into it."""
    if os.path.exists(path) and not answers.is_file(path):
        raise BadWeights("no file, but a folder, a pipe or a device; give the path of a file")
    with open(path, "rb") as file:
        return file.read(16)


def _tensors(path: str) -> tuple[str, dict[str, np.ndarray]]:
    path = os.path.expanduser(path)
    try:
        start = _start(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadWeights(f"can't be read ({reason}); give the path of a file") from error
    try:
        # Of numbers that float32 doesn't hold; what comes of them isn't finite, and refused.
        with np.errstate(over="ignore"):
            return _read_by_start(path, start)
    except OSError as error:
        problem = f"can't be read ({error.strerror or error}); {answers.way_out(error)}"
        raise BadWeights(problem) from error
    except _OF_BROKEN_FILES as error:
        reason = str(error)[:100] or type(error).__name__
        raise BadWeights(f"the file is broken ({reason}); fetch it again") from error


def _read_by_start(path: str, start: bytes) -> tuple[str, dict[str, np.ndarray]]:
    if path.endswith(".safetensors"):
        return _safetensors(path)
    if torch_file.is_one(start):
        return torch_file.read(path)
    if openvino_ir.is_one(start):
        return "OpenVINO IR, batch normalisations folded", open_model_zoo.from_ir(path)
    if onnx_file.is_one(start):
        return "ONNX", open_model_zoo.from_onnx(path)
    raise BadWeights(_unreadable(path))


def _unreadable(path: str) -> str:
    if path.endswith(".bin"):
        graph = os.path.basename(path).removesuffix(".bin") + ".xml"
        return (
            "the numbers of a network in OpenVINO's format, or of another kind: what they mean "
            f"says the file beside it. Pass {graph}, and leave both in one folder"
        )
    return (
        "not a file of PyTorch's torch.save (.pth, .pth.tar, .pt), OpenVINO's (.xml) or ONNX. A "
        "page that says that the file can't be had is sometimes saved under its name: look at its "
        "size"
    )


def _safetensors(path: str) -> tuple[str, dict[str, np.ndarray]]:
    try:
        library = importlib.import_module("safetensors.numpy")
    except ImportError as error:
        raise BadWeights(
            "a .safetensors file needs one more package; `pip install safetensors`, or "
            "save the weights with torch.save"
        ) from error
    try:
        tensors = library.load_file(path)
    except Exception as error:  # The library has its own kinds.
        raise BadWeights(
            f"not a readable .safetensors file ({str(error)[:100]}); fetch it again"
        ) from error
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return "safetensors", tensors


def _foreign(tensors: dict[str, np.ndarray]) -> str:
    if any(name.endswith("layer4.2.conv3.weight") for name in tensors):
        return (
            "the weights of a ResNet with other layers, or under other names, than torchreid's and "
            "torchvision's ResNet50, ResNet101 and ResNet152, which are the ones known here"
        )
    first = ", ".join(name[:60] for name in sorted(tensors)[:3])
    return (
        f"the weights of no network that is known here ({len(tensors)} tensors: {first}, ...). "
        "Known are OSNet, OSNet-IBN and OSNet-AIN of torchreid, in any width, its ResNets, and "
        "person-reidentification-retail of the Open Model Zoo; for other networks of "
        "keras.applications a weights file of Keras without the head"
    )

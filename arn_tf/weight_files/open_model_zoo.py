"""Person re-identification networks of the Open Model Zoo: their weights by torchreid's names.

person-reidentification-retail-0277, -0286, -0287 and -0288 and their like are OSNets with instance
normalisation of the picture and of the first convolution, a group normalisation in every second
gate and a learned average (docs.openvino.ai). They are trained with a fork of torchreid.

In OpenVINO's format the batch normalisations are folded into the convolutions. Here each gets its
shift back, and statistics under which it multiplies by 1 and subtracts 0, so the network is the
same; `strong.recovery` gives it statistics of pictures.
"""

import collections

import numpy as np

from arn_tf.weight_files import onnx_file, openvino_ir
from arn_tf.weight_files.bad_weights import BadWeights
from arn_tf.weight_files.openvino_ir import Graph, Operation

_EPSILON = 1e-5
_MEAN, _DEVIATION = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
# Of the learned layers, the gates and the pooling; the rest only changes shapes.
_OF_ONNX = {
    "Conv": 164,
    "BatchNormalization": 79,
    "Relu": 88,
    "GlobalAveragePool": 24,
    "Sigmoid": 24,
    "MaxPool": 1,
    "AveragePool": 2,
    "Gemm": 1,
    "PRelu": 1,
}
_STAGES, _BLOCKS = (4, 3, 2), (1, 0)
_EXPECTED = (
    "a network person-reidentification-retail of the Open Model Zoo with 256 numbers for a "
    "picture, such as person-reidentification-retail-0288"
)


def from_ir(path: str) -> dict[str, np.ndarray]:
    """Reads a network in OpenVINO's format.

    Args:
        path: of the XML; the .bin lies beside it.

    Returns:
        {name: float32}, names and axes as PyTorch has them: `conv2.0.conv1.conv.weight`.

    Raises:
        BadWeights: the files can't be read, or hold another network.
    """
    graph = openvino_ir.read(path)
    try:
        return _Walk(graph).weights()
    except _OtherNetwork as error:
        raise _another(graph.name, graph.kinds, str(error)) from error


def from_onnx(path: str) -> dict[str, np.ndarray]:
    """Reads a network in ONNX, as it was saved in training: nothing is folded.

    What its gates add to the variance isn't in the file: OpenVINO adds 1e-9 to the deviation, as
    ONNX's MeanVarianceNormalization says; the network was trained with 1e-5 as its siblings' IR
    has it, which is what is computed here. Embeddings of the two have a cosine above .9999.

    Args:
        path: of the file.

    Returns:
        {name: float32}, as `from_ir`, without the classifier of training.

    Raises:
        BadWeights: the file can't be read, or holds another network.
    """
    found = onnx_file.read(path)
    for kind, count in _OF_ONNX.items():
        if found.kinds[kind] != count:
            what = f"it has {found.kinds[kind]} {kind} and not {count}"
            raise _another(found.name, found.kinds, what)
    return {
        name: value.astype(np.float32)
        for name, value in found.tensors.items()
        if not name.startswith("classifier.")
    }


def _another(name: str, kinds: collections.Counter[str], problem: str) -> BadWeights:
    most = ", ".join(f"{count} {kind[:40]}" for kind, count in kinds.most_common(8))
    return BadWeights(
        f"network {name or 'without a name'} of {most or 'no operations'} is not one that "
        f"can be tuned here: {problem}. Pass {_EXPECTED}"
    )


class _OtherNetwork(Exception):
    """The graph isn't what was expected; says where."""


class _Walk:
    """Walks a graph from its result to its input, and takes each weight on the way.

    Names of folded weights tell nothing, so a weight is known by its place. Every operation on the
    way must be the one that the network has there, with its strides, paddings and epsilon.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._weights: dict[str, np.ndarray] = {}

    def weights(self) -> dict[str, np.ndarray]:
        """Returns {name: float32} of the whole network."""
        results = self._of_kind("Result")
        if len(results) != 1 or len(self._of_kind("Parameter")) != 1:
            raise _OtherNetwork("it has not one input and one output")
        x = self._feature(self._inputs(results[0], 1)[0])
        for stage in _STAGES:
            if stage != _STAGES[0]:
                x = self._pooled(x, "AvgPool", "2,2", "0,0")
                x = self._normalized(self._only(x, "ReLU"), f"conv{stage}.2.0.conv", "bn")
            for place in _BLOCKS:
                x = self._block(x, f"conv{stage}.{place}", grouped=place == 1)
        x = self._only(self._pooled(x, "MaxPool", "3,3", "1,1"), "ReLU")
        x = self._affine_instance(x, "conv1.bn")
        x = self._convolved(x, "Convolution", "conv1.conv", strides="2,2", pads="3,3")
        x = self._affine_instance(x, "in_first")
        x = self._preprocessed(x)
        self._taken(x, "Parameter")
        return self._weights

    def _preprocessed(self, x: str) -> str:
        """Passes by the start, from BGR of 0..255 to RGB by ImageNet's mean and deviation.

        What E_I takes is RGB, and its own preprocessing is the same.
        """
        x, scale = self._with_constant(x, "Multiply")
        x, mean = self._with_constant(x, "Subtract")
        x, order, _ = self._inputs(self._taken(x, "Gather"), 3)
        # Of numbers of 16 bits, too.
        if not (
            self._constant(order).ravel().tolist() == [2, 1, 0]
            and mean.size == scale.size == len(_MEAN)
            and np.allclose(mean.ravel(), _MEAN, rtol=1e-3)
            and np.allclose(scale.ravel() * _DEVIATION, 1, rtol=1e-3)
        ):
            raise _OtherNetwork("it doesn't begin with BGR by ImageNet's mean and deviation")
        return x

    def _feature(self, x: str) -> str:
        """Takes the fully connected layer and the learned average; returns the last map."""
        x, slope = self._with_constant(x, "PReLU")
        self._add("fc.2.weight", slope.ravel())
        x, shift = self._with_constant(x, "Add")
        x, scale = self._with_constant(x, "Multiply")
        self._add_normalization("fc.1", scale.ravel(), shift.ravel())
        x, bias = self._with_constant(x, "Add")
        self._add("fc.0.bias", bias.ravel())
        x, weight = self._with_constant(x, "MatMul", transpose_a="false", transpose_b="true")
        self._add("fc.0.weight", weight)
        x, bias = self._with_constant(x, "Add")
        self._add("global_avgpool.bias", bias.ravel())
        x = self._convolved(x, "GroupConvolution", "global_avgpool")
        return self._normalized(self._only(x, "ReLU"), "conv5.conv", "bn")

    def _block(self, x: str, name: str, grouped: bool) -> str:
        """Takes a residual block; returns what it takes."""
        total = self._taken(self._only(x, "ReLU"), "Add")
        residual, shortcut = self._inputs(total, 2)
        x = self._normalized(residual, f"{name}.conv3.conv", "bn")
        gated: list[str] = []
        while self._operation(x).kind == "Add":
            x, last = self._inputs(self._taken(x, "Add"), 2)
            gated.insert(0, last)
        gated.insert(0, x)
        if len(gated) != 4:
            raise _OtherNetwork(f"{name} has {len(gated)} streams and not 4")
        starts = {self._stream(x, name, depth, grouped) for depth, x in enumerate(gated, 1)}
        if len(starts) != 1:
            raise _OtherNetwork(f"the streams of {name} begin in different layers")
        x = self._normalized(self._only(starts.pop(), "ReLU"), f"{name}.conv1.conv", "bn")
        if self._same(shortcut) != self._same(x):
            shortcut = self._normalized(shortcut, f"{name}.downsample.conv", "bn")
        if self._same(shortcut) != self._same(x):
            raise _OtherNetwork(f"{name} is no residual block")
        return x

    def _stream(self, x: str, name: str, depth: int, grouped: bool) -> str:
        """Takes one stream and its gate; returns what it takes."""
        x, weights = self._inputs(self._taken(x, "Multiply"), 2)
        pooled = self._gate(self._only(weights, "Sigmoid"), f"{name}.gate", grouped)
        mean, axes = self._inputs(self._taken(pooled, "ReduceMean"), 2)
        if self._same(mean) != self._same(x) or sorted(self._constant(axes).ravel()) != [2, 3]:
            raise _OtherNetwork(f"a gate of {name} doesn't average its stream")
        own = f"{name}.conv2{'abcd'[depth - 1]}"
        for place in reversed(range(depth)):
            lite = own if depth == 1 else f"{own}.{place}"
            x, shift = self._with_constant(self._only(x, "ReLU"), "Add")
            self._add_normalization(f"{lite}.bn", np.ones(shift.size), shift.ravel())
            x = self._convolved(x, "GroupConvolution", f"{lite}.conv2", pads="1,1")
            x = self._convolved(x, "Convolution", f"{lite}.conv1")
        return self._same(x)

    def _gate(self, x: str, name: str, grouped: bool) -> str:
        if not grouped:
            x = self._biased(x, f"{name}.fc2")
            return self._biased(self._only(x, "ReLU"), f"{name}.fc1")
        x, bias = self._with_constant(x, "Add")
        x, weight = self._with_constant(x, "Multiply")
        self._add(f"{name}.gn.weight", weight.ravel())
        self._add(f"{name}.gn.bias", bias.ravel())
        return self._same(self._instance(x))

    def _biased(self, x: str, name: str) -> str:
        x, bias = self._with_constant(x, "Add")
        self._add(f"{name}.bias", bias.ravel())
        return self._convolved(x, "Convolution", name)

    def _normalized(self, x: str, name: str, normalization: str) -> str:
        """Takes a convolution and the normalisation folded into it."""
        x, shift = self._with_constant(x, "Add")
        own = f"{name.rpartition('.')[0]}.{normalization}"
        self._add_normalization(own, np.ones(shift.size), shift.ravel())
        return self._convolved(x, "Convolution", name)

    def _affine_instance(self, x: str, name: str) -> str:
        x, bias = self._with_constant(x, "Add")
        x, weight = self._with_constant(x, "Multiply")
        self._add(f"{name}.weight", weight.ravel())
        self._add(f"{name}.bias", bias.ravel())
        return self._instance(x)

    def _instance(self, x: str) -> str:
        key = self._taken(x, "MVN", normalize_variance="true", eps_mode="INSIDE_SQRT")
        epsilon = self._operation(key).attributes.get("eps", "")
        if epsilon[:6] not in ("1e-05", "1e-5", "9.9999"):
            raise _OtherNetwork(f"a normalisation adds {epsilon or 'nothing'} to the variance")
        return self._inputs(key, 2)[0]

    def _convolved(
        self, x: str, kind: str, name: str, strides: str = "1,1", pads: str = "0,0"
    ) -> str:
        x, weight = self._with_constant(
            x, kind, strides=strides, pads_begin=pads, pads_end=pads, dilations="1,1"
        )
        if kind == "GroupConvolution":
            weight = weight[:, 0] if weight.ndim == 5 else weight
        if weight.ndim != 4:
            raise _OtherNetwork(f"{name} is no convolution of pictures")
        self._add(f"{name}.weight", weight)
        return x

    def _pooled(self, x: str, kind: str, kernel: str, pads: str) -> str:
        wanted = {"kernel": kernel, "strides": "2,2", "pads_begin": pads, "pads_end": pads}
        return self._inputs(self._taken(x, kind, **wanted), 1)[0]

    def _add_normalization(self, name: str, scale: np.ndarray, shift: np.ndarray) -> None:
        """Adds a batch normalisation that only scales and shifts."""
        zeros = np.zeros(shift.size)
        self._add(f"{name}.weight", scale)
        self._add(f"{name}.bias", shift)
        self._add(f"{name}.running_mean", zeros)
        self._add(f"{name}.running_var", zeros + (1 - _EPSILON))

    def _add(self, name: str, value: np.ndarray) -> None:
        value = value.astype(np.float32)
        # Streams share the weights of their gate, which are stored once or once for each.
        if not np.array_equal(self._weights.setdefault(name, value), value, equal_nan=True):
            raise _OtherNetwork(f"the streams have gates of their own: {name}")

    # Of the graph.

    def _of_kind(self, kind: str) -> list[str]:
        return [key for key, each in self._graph.operations.items() if each.kind == kind]

    def _operation(self, key: str) -> Operation:
        return self._graph.operations[key]

    def _same(self, key: str) -> str:
        """Passes by what only gives numbers another shape."""
        while self._operation(key).kind in ("Reshape", "Squeeze", "Unsqueeze"):
            key = self._inputs(key, 2)[0]
        return key

    def _taken(self, key: str, kind: str, **attributes: str) -> str:
        """Returns an operation's id, past changes of shape; it must be of a kind."""
        key = self._same(key)
        operation = self._operation(key)
        if operation.kind != kind:
            raise _OtherNetwork(f"{operation.name} is {operation.kind}, where {kind} was expected")
        for name, wanted in attributes.items():
            found = operation.attributes.get(name, "").replace(" ", "")
            if found != wanted:
                raise _OtherNetwork(f"{operation.name} has {name}={found} and not {wanted}")
        return key

    def _only(self, key: str, kind: str) -> str:
        return self._inputs(self._taken(key, kind), 1)[0]

    def _inputs(self, key: str, count: int) -> tuple[str, ...]:
        inputs = self._operation(key).inputs
        if len(inputs) != count:
            raise _OtherNetwork(f"{self._operation(key).name} takes {len(inputs)} inputs")
        return inputs

    def _constant(self, key: str) -> np.ndarray:
        value = self._graph.constant(key)
        if value is None:
            raise _OtherNetwork(f"{self._operation(key).name} is no constant")
        return value

    def _with_constant(self, key: str, kind: str, **attributes: str) -> tuple[str, np.ndarray]:
        """Returns what an operation takes, and the constant beside it."""
        x, constant = self._inputs(self._taken(key, kind, **attributes), 2)
        return x, self._constant(constant)

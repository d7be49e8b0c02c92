"""PyTorch's side of `benchmarks.beside_torch`, run by a Python that has torch.

MobileNetV2 as `keras.applications` builds it and the strong recipe changes it (last stride 1), in
channels_last, which is the faster layout on a CPU. A step is the source stage's: label-smoothed
cross-entropy behind a normalisation, batch-hard triplet loss, Adam with L2. Pictures are float
batches in memory, without augmentation.
"""

import sys
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from benchmarks import turns

# (expansion, channels, repeats, stride) of Sandler et al., CVPR 2018, table 2.
_BLOCKS = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 1),  # stride 2 in the original
    (6, 320, 1, 1),
]
_WIDTH, _IDENTITIES, _BATCH = 1280, 16, 32
_SMOOTHING, _MARGIN, _DECAY = 0.1, 0.3, 5e-4


def convolution(inputs: int, outputs: int, kernel: int, stride: int, groups: int) -> list:
    """Returns convolution, normalisation and ReLU6."""
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3),
        nn.ReLU6(inplace=True),
    ]


class Block(nn.Module):
    """An inverted residual."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        layers = convolution(inputs, wide, 1, 1, 1) if expansion > 1 else []
        layers += convolution(wide, wide, 3, stride, wide)
        layers += convolution(wide, outputs, 1, 1, 1)[:2]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


def network() -> nn.Module:
    """Returns E_I with average pooling: float [B, 3, height, width] -> [B, 1280]."""
    layers, channels = convolution(3, 32, 3, 2, 1), 32
    for expansion, outputs, repeats, first_stride in _BLOCKS:
        for repeat in range(repeats):
            layers.append(Block(channels, outputs, expansion, 1 if repeat else first_stride))
            channels = outputs
    layers += convolution(channels, _WIDTH, 1, 1, 1)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def triplet(features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Returns the batch-hard triplet loss."""
    norms = features.square().sum(1)
    squares = norms[:, None] + norms[None] - 2 * features @ features.T
    distances = squares.clamp_min(1e-12).sqrt()
    same = labels[:, None] == labels[None]
    farthest = distances.where(same, torch.zeros(())).amax(1)
    nearest = distances.masked_fill(same, float("inf")).amin(1)
    return functional.relu(_MARGIN + farthest - nearest).mean()


def source_step() -> Callable[[int], None]:
    """Returns a function that takes so many steps of 32 pictures."""
    model, neck = network().to(memory_format=torch.channels_last), nn.BatchNorm1d(_WIDTH)
    classifier = nn.Linear(_WIDTH, _IDENTITIES, bias=False)
    parameters = [p for each in (model, neck, classifier) for p in each.parameters()]
    optimizer = torch.optim.Adam(parameters, 1e-4, weight_decay=_DECAY)
    pictures = torch.rand(8, _BATCH, 3, 128, 64) * 2 - 1
    labels = torch.arange(_BATCH) // 4

    def steps(count: int) -> None:
        for step in range(count):
            images = pictures[step % 8].contiguous(memory_format=torch.channels_last)
            features = model(images)
            logits = classifier(neck(features))
            loss = functional.cross_entropy(logits, labels, label_smoothing=_SMOOTHING)
            loss = loss + triplet(features, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()

    return steps


def forward() -> Callable[[int], None]:
    """Returns a function that embeds so many batches of 64 pictures by the running statistics."""
    model = network().to(memory_format=torch.channels_last).eval()
    pictures = torch.rand(64, 3, 128, 64).contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def batches(count: int) -> None:
        for _ in range(count):
            functional.normalize(model(pictures)).numpy()

    return batches


if __name__ == "__main__":
    take_steps = {"step": source_step, "forward": forward}[sys.argv[1]]()
    for steps in turns.requested():
        take_steps(steps)

"""What a strong run on the official sizes costs: `python -m benchmarks.official_run [BACKBONE]`.

Market-1501 to DukeMTMC-reID: 12,936 labelled pictures of 751 persons, 16,522 unlabelled ones of 8
cameras; the recipe's own settings, 60 epochs and twelve rounds. Nobody waits hours for a benchmark:
a step of each kind, an embedding, a clustering of as many pictures and a choice among the stages
are measured alone, and counted as often as a run has them. Pictures and embeddings are synthetic,
weights random, which takes the same time.

A GPU is not measured. Its column divides the multiply-adds by what NVIDIA reports of one A100 that
trains ResNet-50 with TensorFlow: 909 pictures of 224x224 a second in TF32, in batches of 256
(DeepLearningExamples, TensorFlow/Classification/ConvNets/resnet50v1.5). Smaller batches and
depthwise convolutions reach less; what needs no network takes as long there as here on one core.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable, Mapping

import numpy as np

from arn_tf.strong.settings import StrongSettings
from benchmarks import children, flags, report, running, strong_steps
from benchmarks.report import Report

SOURCE, TARGET, CAMERAS, TARGET_PERSONS = 12_936, 16_522, 8, 702
# `row_pictures.MOST_PICTURES` and `MOST_OF_TARGET`; to import them is to import TensorFlow, whose
# memory would count as that of the processes that this one starts.
STATISTICS_OF, STATISTICS_OF_TARGET = 1024, 256
# T multiply-adds a second: 909 pictures, forward and back, of 4.09 G each.
_GPU = 909 * 3 * 4.09e-3
# What makes an embedding: its person, its camera (1) and the rest of the picture.
_PERSON, _NOISE, _STAGE = 1.3, 2.0, 0.5


def counts(settings: StrongSettings) -> dict[str, int]:
    """Returns how often a run does what is measured.

    Args:
        settings: of the run.
    """
    from arn_tf.strong import stages

    rounds = settings.rounds_on(TARGET)
    # The adapted one, each round, and the mean of several.
    count = 1 + rounds + bool(stages.averaged(rounds))
    # The whole target and each camera.
    statistics = count * (STATISTICS_OF_TARGET + CAMERAS * STATISTICS_OF)
    return {
        "steps on the source": settings.epochs * (SOURCE // settings.batch_size),
        "steps of self-training": rounds * settings.steps_of_round(TARGET),
        # Embeddings of each stage, as each is clustered or chosen among. A camera's statistics are
        # read in one pass, and the embedding's in one more with its mirror image, after which its
        # pictures are embedded.
        "pictures embedded by camera": count * (TARGET + STATISTICS_OF_TARGET),
        "pictures through E_I alone": statistics,
        "clusterings of the target": rounds,
        "choices of a stage": 1,
    }


def main(backbone: str, path: str | None) -> None:
    """Measures, counts and prints a report."""
    where = report.machine()
    settings = StrongSettings(backbone=backbone)
    steps = {
        kind: children.answer("benchmarks.strong_steps", ["--child", backbone, kind])
        for kind in strong_steps.PICTURES
    }
    apart = children.answer("benchmarks.official_run", ["--child", str(steps["plain"]["width"])])
    of_network = {
        "steps on the source": (steps["source"], 1),
        "steps of self-training": (steps["self-training"], 1),
        "pictures embedded by camera": (steps["by camera"], strong_steps.PICTURES["by camera"]),
        "pictures through E_I alone": (steps["plain"], strong_steps.PICTURES["plain"]),
    }
    rows, total, of_gpu = [], 0.0, 0.0
    for name, count in counts(settings).items():
        tera = None
        if name in of_network:
            found, pictures = of_network[name]
            seconds = count * found["cpu_seconds"] / pictures
            tera = count * found["multiply_adds"] / pictures / 1e12
            gpu = tera / _GPU
        else:
            gpu = seconds = count * apart[name]
        total, of_gpu = total + seconds, of_gpu + gpu
        rows.append((name, count, seconds / 60, tera, gpu / 60))
    rows.append(("together", None, total / 60, None, of_gpu / 60))
    network = max(found["peak_mib"] for found in steps.values())
    decoded = (SOURCE + TARGET) * np.prod(settings.image_size) * 3 / 2**20
    notes = [
        f"{backbone} at {settings.input_size}, {settings.epochs} epochs, "
        f"{settings.rounds_on(TARGET)} rounds. CPU minutes are of all cores together: two cores "
        "that nothing else needs take a little more than half of them. Those of a GPU are "
        "arithmetic.",
        f"Most memory: {network:,.0f} MiB in a step, {apart['peak MiB']:,.0f} MiB in clustering "
        f"and choosing; decoded pictures are a file of {decoded:,.0f} MiB.",
    ]
    columns = ("", "how often", "CPU minutes", "T multiply-adds", "minutes with one A100")
    report.finish(Report(columns, rows, notes), where, path)


def measure(width: int) -> None:
    """Measures what needs no network, in this process, and prints a line of JSON.

    Args:
        width: numbers in an embedding.
    """
    from arn_tf.strong import stage_choice, stages, target_clusters

    random = np.random.default_rng(0)
    person = np.arange(TARGET) % TARGET_PERSONS
    camera = random.integers(0, CAMERAS, TARGET)

    def drawn(rows: np.ndarray | int, share: float) -> np.ndarray:
        return share * random.standard_normal((rows, width), np.float32)

    embeddings = drawn(TARGET_PERSONS, _PERSON)[person] + drawn(CAMERAS, 1)[camera]
    embeddings += drawn(TARGET, _NOISE)
    # The mean of weights takes the place of the last round.
    candidates = len(stages.compared(StrongSettings().rounds_on(TARGET)))
    found: Mapping[str, float] = {
        "clusterings of the target": _timed(lambda: target_clusters.find(embeddings, camera)),
        "choices of a stage": _timed(
            lambda: stage_choice.choose(
                [embeddings + drawn(TARGET, _STAGE) for _ in range(candidates)], camera
            )
        ),
        "peak MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print("\n" + json.dumps(found))  # progress bars come before it


def _timed(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("backbone", nargs="?", default="MobileNetV2")
    parser.add_argument("--child", type=flags.count, help=argparse.SUPPRESS)
    report.add_flag(parser)
    arguments = parser.parse_args()
    if arguments.child:
        measure(arguments.child)
    else:
        running.run(lambda: main(arguments.backbone, arguments.json))

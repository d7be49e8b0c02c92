"""The strong recipe's steps beside PyTorch's and bare Keras's: `python -m benchmarks.beside_torch`.

MobileNetV2 at 128x64 and last stride 1, weights random, batches of 32; in turns within one run:

    torch step       PyTorch's source step, where --torch names a Python that has torch
    Keras step       the same network with Keras's own normalisation, cross-entropy and Adam
    source step      the product's: 32 pictures, augmentation and callbacks as in a run
    self-training    the product's: 32 source pictures, and 16 of each of two target cameras
    torch forward    by the running statistics, batches of 64
    Keras forward    likewise, `tf.function` of the network alone
    embedding        the product's `embed_plain`

What counts is pictures for each second of CPU time, of all cores and the kernel's too: other
work of the machine slows the clock more than that. PyTorch's threads sleep where they wait, which
takes no CPU time (OMP_WAIT_POLICY). Figures are medians over the rounds, shares
are taken within a round.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence

from benchmarks import flags, report, running, turns
from benchmarks.report import Cell, Report
from datasets import tensorflow_process

# {kind: (pictures of a step, steps of a turn, kind that it is compared with)}
KINDS = {
    "torch step": (32, 4, ""),
    "Keras step": (32, 4, "torch step"),
    "source step": (32, 4, "torch step"),
    "self-training": (64, 3, "torch step"),
    "torch forward": (64, 4, ""),
    "Keras forward": (64, 4, "torch forward"),
    "embedding": (64, 4, "Keras forward"),
}
_KERAS = {"source step": "Keras step", "self-training": "Keras step"}
COLUMNS = (
    "",
    "times the rate, CPU",
    "of",
    "pictures/CPU s",
    "pictures/s of the clock",
    "kernel, % of CPU",
    "page faults a step",
    "peak MiB",
)


def main(
    torch: str | None, backbone: str, rounds: int, kinds: Sequence[str], path: str | None = None
) -> None:
    """Measures every kind and prints a report.

    Args:
        torch: a Python that has torch, or nothing.
        backbone: E_I of the kinds that aren't torch's.
        rounds: turns of each kind.
        kinds: which, of `KINDS`.
        path: of a JSON file, or nothing.

    Raises:
        SystemExit: one of them ended early.
    """
    where, commands = report.machine(), {}
    for kind in kinds:
        if not kind.startswith("torch"):
            commands[kind] = [sys.executable, "-m", __spec__.name, "--child", kind, backbone]
        elif torch:
            commands[kind] = [torch, "-m", "benchmarks.torch_steps", kind.partition(" ")[2]]
    steps = {kind: KINDS[kind][1] for kind in commands}
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = turns.take(commands, steps, rounds, root)
    notes = [
        f"{backbone} at 128x64 with last stride 1, float32; medians of {rounds} rounds in turns, "
        "shares are taken within a round."
    ]
    if not torch:
        notes.append("PyTorch wasn't there: bare Keras stands alone.")
    rows = [row(kind, found) for kind in found]
    report.finish(Report(COLUMNS, rows, notes), where, path)


def row(kind: str, found: Mapping[str, Sequence[Mapping[str, float]]]) -> list[Cell]:
    """Returns the cells of `COLUMNS`."""
    answers, (size, steps, beside) = found[kind], KINDS[kind]
    medians = {key: statistics.median(answer[key] for answer in answers) for key in answers[0]}
    # Without PyTorch a step of the product is compared with bare Keras's.
    beside = next((other for other in (beside, _KERAS.get(kind)) if other in found), None)
    share = None
    if beside:
        theirs_size, theirs_steps, _ = KINDS[beside]
        share = statistics.median(
            theirs["cpu_seconds"]
            / (theirs_size * theirs_steps)
            * size
            * steps
            / ours["cpu_seconds"]
            for ours, theirs in zip(answers, found[beside], strict=True)
        )
    return [
        kind,
        share,
        beside,
        size * steps / medians["cpu_seconds"],
        size * steps / medians["seconds"],
        100 * medians["kernel_seconds"] / medians["cpu_seconds"],
        round(medians["page_faults"] / steps),
        medians["peak_mib"],
    ]


def python(text: str) -> str:
    """Returns a Python that has torch.

    Raises:
        argparse.ArgumentTypeError: it isn't one.
    """
    try:
        status = subprocess.run([text, "-c", "import torch"], capture_output=True).returncode
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from error
    if status:
        raise argparse.ArgumentTypeError(f"{text} is no Python that has torch")
    return text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--torch", type=python, help="a Python that has torch")
    parser.add_argument("--backbone", default="MobileNetV2", help="E_I of what isn't torch's")
    parser.add_argument("--rounds", type=flags.count, default=5, help="turns of each")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    report.add_flag(parser)
    arguments = parser.parse_args()
    if arguments.child:
        # As a command does, before it imports TensorFlow; PyTorch is left as it comes.
        tensorflow_process.prepare()
        from benchmarks import tensorflow_steps

        running.run(lambda: tensorflow_steps.take_turns(*arguments.child))
        sys.exit()
    given = (getattr(arguments, name) for name in ("torch", "backbone", "rounds", "kinds", "json"))
    running.run(lambda: main(*given))

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
import sys
from collections.abc import Sequence

from benchmarks import turns
from datasets import tensorflow_process
from serving import command

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


def main(torch: str, backbone: str, rounds: int, kinds: Sequence[str] = tuple(KINDS)) -> None:
    """Measures every kind and prints a table.

    Args:
        torch: a Python that has torch, or "".
        backbone: E_I of the kinds that aren't torch's.
        rounds: turns of each kind.
        kinds: which, of `KINDS`.
    """
    commands = {}
    for kind in kinds:
        if not kind.startswith("torch"):
            commands[kind] = [sys.executable, "-m", __spec__.name, "--child", kind, backbone]
        elif torch:
            commands[kind] = [torch, "-m", "benchmarks.torch_steps", kind.partition(" ")[2]]
    steps = {kind: KINDS[kind][1] for kind in commands}
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = turns.take(commands, steps, rounds, root)
    print(
        f"{'':16}{'images/CPU s':>14}{'images/s':>10}{'kernel':>8}{'faults/step':>13}"
        f"{'peak MiB':>10}  beside"
    )
    for kind, answers in found.items():
        pictures = KINDS[kind][0] * KINDS[kind][1]

        def median(name: str, answers: list = answers) -> float:
            return statistics.median(answer[name] for answer in answers)

        other = KINDS[kind][2]
        beside = ""
        if other in found:
            share = statistics.median(
                theirs["cpu_seconds"]
                / KINDS[other][0]
                / KINDS[other][1]
                / (ours["cpu_seconds"] / pictures)
                for ours, theirs in zip(answers, found[other], strict=True)
            )
            beside = f"{share:.2f} of {other}'s rate"
        print(
            f"{kind:16}{pictures / median('cpu_seconds'):14.1f}"
            f"{pictures / median('seconds'):10.1f}"
            f"{median('kernel_seconds') / median('cpu_seconds'):8.0%}"
            f"{median('page_faults') / KINDS[kind][1]:13.0f}{median('peak_mib'):10.0f}  {beside}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--torch", default="", help="a Python that has torch")
    parser.add_argument("--backbone", default="MobileNetV2", help="E_I of what isn't torch's")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        # As a command does, before it imports TensorFlow; PyTorch is left as it comes.
        tensorflow_process.prepare()
        from benchmarks import tensorflow_steps

        tensorflow_steps.take_turns(*arguments.child)
        sys.exit()
    command.run(
        lambda: main(arguments.torch, arguments.backbone, arguments.rounds, arguments.kinds)
    )

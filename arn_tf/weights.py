"""Tells what is in a file of public weights, and how to use it: `python -m arn_tf.weights FILE`

For files of torchreid's OSNet family and ResNet50, as its model zoo has them, and for the Open
Model Zoo's person-reidentification-retail, in OpenVINO's format or ONNX; no part of the file is
run. The exit status is 1 where the file can't be used, else 0.
"""

import shlex
import sys

from arn_tf.run import command_line
from datasets.files.printable import printable


def main(path: str) -> None:
    """Prints what the file holds, and ends the program with status 1 where it can't be used."""
    from arn_tf.backbones import public_weights
    from arn_tf.weight_files.bad_weights import BadWeights

    try:
        found = public_weights.read(path)
        facts = [f"  {name}: {fact}" for name, fact in found.facts()]
        print("\n".join([printable(path), *facts]), flush=True)
        command_line.start_tensorflow()
        from arn_tf.backbones import networks

        height, width = found.config.input_size or (256, 128)
        networks.made_of(found, (height, width))
    except BadWeights as error:
        print(f"{printable(path)}: can't be used: {error}")
        sys.exit(1)
    flags = [f"--backbone={found.backbone}", f"--backbone_weights={shlex.quote(path)}"]
    if found.config.input_size:
        flags.append(f"--input_size={'x'.join(map(str, found.config.input_size))}")
    if found.config.last_stride != 1:
        flags.append(f"--last_stride={found.config.last_stride}")
    print(f"It can be used: --preset=strong {' '.join(flags)}")


if __name__ == "__main__":
    command_line.run(main, argument="the file of weights")

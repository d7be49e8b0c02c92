"""The package openvino, without its telemetry: it tells Google Analytics of every conversion.

It asks nobody, and keeps a number for the machine in the home folder. Pictures of people are no
place for that; without its module openvino_telemetry, OpenVINO and NNCF tell nothing.
"""

import sys
import types

from arn_tf.errors import UserError


def imported() -> types.ModuleType:
    """Returns the module openvino.

    Raises:
        UserError: it isn't installed.
    """
    # None: importing it fails, as if it weren't installed. It has no setting for one process.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise UserError(
            "format=openvino: needs the package openvino: pip install -r requirements-openvino.txt",
            ["format"],
        ) from error
    return openvino

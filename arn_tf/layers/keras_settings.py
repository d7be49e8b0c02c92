"""The settings of Keras that all of arn_tf is written for, whatever others use Keras with.

Keras takes its settings from the environment and from a file, keras.json, that all programs of a
user share. arn_tf's own programs override both for their process: nothing else runs in it, and what
they compute must not depend on a file that no run records. `import arn_tf` raises instead: the
process is somebody else's program, whose other models have the settings that it chose.
"""

import os
import re
from types import ModuleType

from arn_tf.errors import UserError

_BACKEND = "tensorflow"
_DATA_FORMAT = "channels_last"
_FLOATX = "float32"
_EPSILON = 1e-7  # Keras's own
_OTHER_BACKENDS = re.compile(r"\b(jax|flax|torch|openvino)\b")
_VARIABLES = {"KERAS_BACKEND": _BACKEND, "KERAS_NNX_ENABLED": "0"}
# They cut every training and prediction short.
_DROPPED = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")


def override() -> None:
    """Gives this process the settings, before anything has imported Keras or TensorFlow.

    Raises:
        UserError: Keras can't read its file, so it can't be imported at all.
    """
    os.environ |= _VARIABLES
    for name in _DROPPED:
        os.environ.pop(name, None)
    config = _imported().config
    config.set_image_data_format(_DATA_FORMAT)
    config.set_floatx(_FLOATX)
    config.set_epsilon(_EPSILON)
    require()


def require() -> None:
    """Checks that Keras has the settings; imports it where nothing has yet.

    Raises:
        UserError: it has others, or can't be imported with them.
    """
    config = _imported().config
    if (found := config.backend()) != _BACKEND:
        raise UserError(
            f"Keras runs on {found} here, and arn_tf needs TensorFlow: set "
            f"KERAS_BACKEND={_BACKEND} before Keras is imported. Now it is set by {_sources()}"
        )
    for name, found, needed in (
        ("image_data_format", config.image_data_format(), _DATA_FORMAT),
        ("floatx", config.floatx(), _FLOATX),
    ):
        if found != needed:
            raise UserError(
                f"Keras's {name} is {found} here, and arn_tf needs {needed}: call "
                f"keras.config.set_{name}({needed!r}) before arn_tf is imported, or change it in "
                f"{_file()}"
            )


def _imported() -> ModuleType:
    try:
        import keras
    except ImportError as error:
        if not _OTHER_BACKENDS.search(str(error)):
            raise
        raise _unusable(error) from error
    # What a file leads to that can't be read or holds something else than settings.
    except (AttributeError, OSError, TypeError, ValueError) as error:
        if not _sources():
            raise
        raise _unusable(error) from error
    return keras


def _unusable(error: Exception) -> UserError:
    return UserError(
        f"Keras can't be imported ({error}). Its settings come from {_sources()}; arn_tf needs "
        f"KERAS_BACKEND={_BACKEND}, and a keras.json that Keras can read or none"
    )


def _sources() -> str:
    """Returns where Keras has settings from, "" where it has only its own."""
    needed = _VARIABLES | dict.fromkeys(_DROPPED)
    found = [
        f"{name}={os.environ[name]}"
        for name, value in needed.items()
        if os.environ.get(name, value) != value
    ]
    file = [_file()] if os.path.exists(_file()) else []
    return " and ".join(found + file)


def _file() -> str:
    """Returns the path of Keras's file, where Keras looks for it."""
    home = os.path.expanduser("~")
    folder = os.path.join(home if os.access(home, os.W_OK) else "/tmp", ".keras")
    return os.path.expanduser(os.path.join(os.environ.get("KERAS_HOME", folder), "keras.json"))

"""Version folders as TensorFlow Serving watches them: a new one appears whole or not at all."""

import contextlib
import glob
import os
import re
import shutil
from collections.abc import Iterator

import tensorflow as tf

from arn_tf.errors import ArgumentError
from datasets.files import locks
from datasets.files.atomic_files import is_refusal

# Not a number: TensorFlow Serving passes over such a folder.
_PARTIAL = ".partial-"


@contextlib.contextmanager
def new_version(export_dir: str) -> Iterator[tuple[str, int]]:
    """Publishes the next version of a model, EXPORT_DIR/1, /2, ..., when the block ends well.

    One process at a time; what a killed one left behind is removed by the next. A number is never
    given twice, even if its folder was taken away: a client may have pinned it.

    Args:
        export_dir: folder of the model.

    Yields:
        an empty folder to write into, and the version number; afterwards it has its final name.

    Raises:
        UserError: the folder can't be written, or another export is writing there.
    """
    with contextlib.ExitStack() as stack:
        numbers = os.path.join(export_dir, ".last_version")
        try:
            os.makedirs(export_dir, exist_ok=True)
            stack.enter_context(locks.held(os.path.join(export_dir, ".lock")))
            # Earlier versions know no other lock.
            stack.enter_context(locks.held(numbers, content=True))
            # Unbuffered: a full disk shows where it is written, and not again where it is closed.
            last_version = stack.enter_context(open(numbers, "ab+", 0))
        except locks.Held as held:
            raise ArgumentError("export_dir", export_dir, f"{held} is exporting there") from held
        except OSError as error:
            problem = str(error)
            if is_refusal(error):
                problem = f"can't be written ({error.strerror}). Name a folder of your own"
            raise ArgumentError("export_dir", export_dir, problem) from error
        for left_behind in glob.glob(os.path.join(glob.escape(export_dir), _PARTIAL + "*", "")):
            shutil.rmtree(left_behind, ignore_errors=True)
        last_version.seek(0)
        given = [int(number) for number in last_version.read().split() if number.isdigit()]
        version = max([0, *given, *published_versions(export_dir)]) + 1
        partial = os.path.join(export_dir, f"{_PARTIAL}{version}")
        try:
            os.mkdir(partial)
            yield partial, version
            _make_lasting(partial)
            last_version.write(f"{version}\n".encode())
            os.rename(partial, os.path.join(export_dir, str(version)))
        # TensorFlow has a kind of error of its own for a full disk.
        except (OSError, tf.errors.OpError) as error:
            raise ArgumentError(
                "export_dir", export_dir, f"version {version} can't be written: {error}"
            ) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def published_versions(export_dir: str) -> list[int]:
    """Returns the numbers of the version folders, ascending."""
    return sorted(
        int(entry)
        for entry in os.listdir(export_dir)
        if re.fullmatch(r"\d+", entry) and os.path.isdir(os.path.join(export_dir, entry))
    )


def _make_lasting(folder: str) -> None:
    """Writes every file through to the disk before the folder gets its name."""
    for parent, _, files in os.walk(folder):
        for name in files:
            with open(os.path.join(parent, name), "rb") as file:
                os.fsync(file.fileno())

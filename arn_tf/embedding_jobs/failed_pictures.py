"""Pictures of a job that have no embedding: told, kept in `failed.csv`, and tried again."""

import contextlib
import csv
import io
import os

from arn_tf.embedding_jobs.batches import Reader
from arn_tf.embedding_jobs.exported_model import ExportedModel
from arn_tf.embedding_jobs.plan import Plan
from datasets.files.atomic_files import replace_text
from datasets.files.printable import printable

FILE = "failed.csv"
_SHOWN = 3


def try_again(plan: Plan, model: ExportedModel) -> None:
    """Makes those shards pending again of whose failed pictures one can be used now.

    Args:
        plan: of the job.
        model: that would embed them.

    Raises:
        StorageError: disk or store don't answer.
    """
    if not any(plan.failed.values()):
        return
    row_of = {file: row for row, file in enumerate(plan.listing.files)}
    with contextlib.closing(Reader(plan.job.root)) as reader:
        for number, failed in list(plan.failed.items()):
            for row in (row_of[file] for file in failed):
                _, still = model.decode(reader.read(plan.batch(row, row + 1)))
                if not still:
                    del plan.failed[number]
                    break


def write(plan: Plan) -> dict[str, str]:
    """Writes the failed pictures of a job into its folder, or removes the file of earlier ones.

    Args:
        plan: of the job.

    Returns:
        {path or address: why}.

    Raises:
        OSError: it can't be written.
    """
    failed = {
        os.path.join(plan.job.root, file): problem
        for number in sorted(plan.failed)
        for file, problem in plan.failed[number].items()
    }
    path = os.path.join(plan.folder, FILE)
    if failed:
        table = io.StringIO()
        lines = csv.writer(table, lineterminator="\n")
        lines.writerow(["file", "problem"])
        lines.writerows(failed.items())
        replace_text(path, table.getvalue())
    else:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
    return failed


def told(plan: Plan, failed: dict[str, str]) -> str:
    """Returns a line for the user on failed pictures."""
    shown = "; ".join(f"{file}: {problem}" for file, problem in list(failed.items())[:_SHOWN])
    return printable(
        f"{len(failed)} of {plan.job.pictures} pictures have no embedding: {shown}. All of them "
        f"are in {os.path.join(plan.folder, FILE)}; the same command tries them again"
    )

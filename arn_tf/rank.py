"""Ranks embeddings that jobs wrote: `python -m arn_tf.rank --query=DIR --gallery=DIR`

Both are folders that `arn_tf.embed` wrote of pictures whose names tell their persons. Prints CMC
and mAP as `arn_tf.evaluate` does, without model and pictures; the gallery may have millions.

    python -m arn_tf.rank --query=embeddings/query --gallery=embeddings/gallery --json=scores.json
"""

import json
import os

from absl import flags

from arn_tf.errors import UserError
from arn_tf.run import command_line, outputs

_NEEDED = ("query", "gallery")
_TITLE = "embeddings"


def main() -> None:
    """Ranks the folders that the flags name, and prints and keeps the scores."""
    from arn_tf.ranking import scores, shards
    from datasets.files import atomic_files
    from datasets.files.printable import printable

    arguments = flags.FLAGS
    for name in _NEEDED:
        if not getattr(arguments, name):
            raise UserError(f"{name}: name a folder that arn_tf.embed wrote", [name])
    path = os.path.expanduser(arguments.json)
    if path:
        outputs.check_writable("json", path)
    folders = {name: os.path.expanduser(getattr(arguments, name)) for name in _NEEDED}
    result = shards.rank(**folders, same_camera=arguments.same_camera)
    rows = {_TITLE: scores.metrics([result])}
    match = "a match" if arguments.same_camera else "a match on another camera"
    print(f"\n{printable(folders['query'])} in {printable(folders['gallery'])}, in percent:\n")
    print(scores.table(list(rows.items())))
    print(
        f"\n{result.valid_queries} of {result.queries} queries have {match} and count; "
        f"{result.junk} gallery pictures without a known person dropped. mAP 95%: where mAP would "
        "lie with other queries (bootstrap)."
    )
    if path:
        try:
            atomic_files.replace_text(path, json.dumps(folders | {"rows": rows}, indent=2) + "\n")
        except OSError as error:
            raise outputs.unwritable("json", path, error) from error
        print(f"scores: {printable(path)}")


if __name__ == "__main__":
    flags.DEFINE_string("query", "", "folder that arn_tf.embed wrote, of persons to search for")
    flags.DEFINE_string("gallery", "", "the same, of pictures to be ranked; may be the query's")
    flags.DEFINE_bool(
        "same_camera", False, "whether pictures of the query's own camera count as matches"
    )
    flags.DEFINE_string("json", "", "file to write the scores into, for programs")
    command_line.run(main)

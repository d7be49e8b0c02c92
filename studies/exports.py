"""What a format or int8 costs in accuracy, on labelled pictures.

    python -m studies.exports --model_dir=runs/site --query=test/query --gallery=test/gallery \\
        --names='{person_id}_{camera}_{*}' models/arn/1 models/arn_int8/1

Each export is a version that `arn_tf.export` wrote of the run. Query and gallery are embedded by
each as its runtime computes, every picture by its camera where the model takes cameras, and scored
by the protocol of `arn_tf.evaluate`. Prints mAP and rank-1 of each, and the difference in mAP to
the first with its interval, paired over queries.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from arn_tf import recipes
from arn_tf.data.images import decode
from arn_tf.data.split import Split
from arn_tf.errors import UserError
from arn_tf.ranking import intervals, scores
from arn_tf.run import command_line, scored
from arn_tf.run.folder import RunDir
from arn_tf.run.labelled import Labelled
from arn_tf.served import loaded

_BATCH = 32


def embedded(embed: loaded.Embed, sidecar: dict, split: Split) -> np.ndarray:
    """Returns the embeddings of a split, float32 [N, D].

    Args:
        embed: what embeds; see `loaded.load`.
        sidecar: of the same version.
        split: N pictures.
    """
    vectors = []
    for start in range(0, len(split), _BATCH):
        rows = np.arange(start, min(start + _BATCH, len(split)))
        pictures = split.images[rows].tolist()
        images = np.stack([decode(each, sidecar["input_size"]).numpy() for each in pictures])
        vectors.append(embed(images, split.camera_id[rows] if "cameras" in sidecar else None))
    return np.concatenate(vectors)


def compare(exports: Sequence[str], query: Split, gallery: Split) -> None:
    """Prints the table.

    Args:
        exports: folders of versions.
        query: pictures of known persons.
        gallery: likewise.
    """
    print(
        f"{len(query)} queries, {len(gallery)} gallery pictures\n\n"
        "| export | format | precision | mAP | rank-1 | difference in mAP |\n"
        "|---|---|---|---|---|---|",
        flush=True,
    )
    first = None
    for export in exports:
        sidecar, embed = loaded.load(export)
        vectors = [embedded(embed, sidecar, split) for split in (query, gallery)]
        result = scores.score(*vectors, query, gallery)
        precision = result.average_precision
        difference = ""
        if first is None:
            first = precision
        else:
            mean, (low, high) = intervals.difference(precision, first)
            difference = f"{100 * mean:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]"
        print(
            f"| {export} | {sidecar.get('format', 'saved_model')} | {sidecar['precision']} | "
            f"{100 * result.mean_ap:.2f} | {100 * result.rank(1):.2f} | {difference} |",
            flush=True,
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Scores the exports that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("exports", nargs="+", metavar="VERSION_DIR")
    parser.add_argument("--model_dir", required=True, help="the run that was exported")
    parser.add_argument("--query", default="", help="folder or table; the target's own when empty")
    parser.add_argument("--gallery", default="", help="likewise")
    parser.add_argument("--names", default="", help="template of the paths in both")
    options = parser.parse_args(argv)
    run = RunDir(options.model_dir)
    labelled = Labelled(options.query, options.gallery, options.names)
    found = scored.splits(recipes.settings_of(run), run, labelled)
    if found is None:
        raise UserError(
            "no person of the target is known; name labelled pictures with query", ["query"]
        )
    compare(options.exports, *found)


if __name__ == "__main__":
    command_line.call(main)

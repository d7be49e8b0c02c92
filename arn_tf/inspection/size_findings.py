"""Findings on how much there is: too little to learn from, too much for the disk."""

from collections.abc import Iterator

from arn_tf.inspection import limits
from arn_tf.inspection.amounts import amount
from arn_tf.inspection.finding import Finding, Level, Pictures


def findings(pictures: Pictures, free: int) -> Iterator[Finding]:
    """Yields what is the matter with the number of pictures.

    Args:
        pictures: all of them.
        free: bytes on the disk that runs are written to.
    """
    count = int(pictures.learnt.sum())
    if not pictures.good.any():
        yield Finding(
            "nothing_readable",
            Level.STOPS,
            len(pictures.listing),
            "pictures, none of which can be read",
            (),
            "there is nothing to learn from",
            "see the other findings: the files, their rights, or their format",
        )
    elif not count:
        yield Finding(
            "nothing_to_learn_from",
            Level.STOPS,
            int(pictures.good.sum()),
            "pictures, of which none lies in a folder of training pictures",
            (),
            "where folders are named as those of an official data set, only the training pictures "
            "are learnt from",
            "name the folder whose pictures are to be learnt from, without those beside it",
        )
    elif count < limits.BATCH:
        yield Finding(
            "fewer_than_a_batch",
            Level.STOPS,
            count,
            f"pictures to learn from, fewer than a batch of {limits.BATCH}",
            (),
            "training can't take one step",
            f"add pictures: some hundreds at least, {limits.FEW} or more for clusters that tell "
            "something",
        )
    elif count < limits.FEW:
        yield Finding(
            "few_pictures",
            Level.HARMS,
            count,
            f"pictures to learn from, fewer than {limits.FEW}",
            (),
            "few persons are seen in two cameras, so self-training finds few clusters or stops; "
            "what helps then is each camera's statistics",
            "collect more, of other hours and days",
        )
    needed = count * limits.BYTES
    if needed > free:
        yield Finding(
            "disk_full",
            Level.HARMS,
            count,
            f"pictures to decode at {limits.INPUT_SIZE}, into {amount(needed)}; {amount(free)} are "
            "free here",
            (),
            "training stops before its first step, where its folder is on this disk",
            "name a --model_dir on a disk with room, or a smaller --input_size",
        )

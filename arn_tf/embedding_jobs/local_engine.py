"""One machine: reading, decoding, the forward and writing at the same time, so that one costs."""

import contextlib

from arn_tf.embedding_jobs.batches import Reader
from arn_tf.embedding_jobs.embedding import Embedding
from arn_tf.embedding_jobs.exported_model import ExportedModel
from arn_tf.embedding_jobs.plan import Plan
from arn_tf.embedding_jobs.progress import Progress
from arn_tf.embedding_jobs.shard_writer import ShardWriter


def run(plan: Plan, model: ExportedModel, progress: Progress) -> Embedding:
    """Embeds what is left of a job.

    Args:
        plan: of the job.
        model: that embeds.
        progress: told of each batch.

    Returns:
        how long the forward took, and stood idle.

    Raises:
        UserError: disk or store don't answer, the model gave what is no embedding, or a shard
            can't be written. What is written is kept.
    """
    embedding = Embedding(model)
    with contextlib.closing(Reader(plan.job.root)) as reader, ShardWriter(plan) as writer:
        for batch in embedding.batches(map(reader.read, plan.batches())):
            writer.add(batch)
            progress.advance(len(batch.content_hash))
    return embedding

"""Embeds many pictures with an exported model: `python -m arn_tf.embed --images= --output=`

Writes Parquet shards: file, camera, tracklet, person, time, hash and embedding. Whatever ends a
job, the same command goes on with it. Pictures that can't be used are left out, told and listed in
OUTPUT/failed.csv; the exit status is then 1.

    python -m arn_tf.embed --images=crops/ --model=models/arn --output=embeddings/
"""

import sys

from absl import flags

from arn_tf.errors import ArgumentError, UserError
from arn_tf.run import command_line, streams
from datasets.embedding_shards import job_file

_ENGINES = ("local", "ray")
_NEEDED = {
    "images": "name a folder or table of pictures, or a folder of an object store",
    "model": "name the folder that arn_tf.export wrote, such as models/arn",
    "output": "name the folder for the embeddings, such as embeddings/",
}


def main() -> None:
    """Runs the job that the flags name, and ends the program with the exit status."""
    arguments = flags.FLAGS
    for name, problem in _NEEDED.items():
        if not getattr(arguments, name):
            raise UserError(f"{name}: {problem}", [name])
    if arguments.shard_size < 1:
        raise ArgumentError("shard_size", arguments.shard_size, "give 1 or more pictures")
    tensorflow = command_line.start_tensorflow()
    from arn_tf.embedding_jobs import job

    # As where the model was trained and scored.
    tensorflow.config.experimental.enable_tensor_float_32_execution(False)
    try:
        failed = job.run(
            job.Arguments(
                **{
                    name: getattr(arguments, name)
                    for name in (*_NEEDED, "names", "engine", "dtype", "shard_size")
                }
            )
        )
    except KeyboardInterrupt:
        streams.warn("\nstopped; what is written is kept, and the same command goes on with it")
        sys.exit(130)
    sys.exit(1 if failed and not arguments.skip_bad_images else 0)


if __name__ == "__main__":
    flags.DEFINE_string(
        "images",
        "",
        "folder of pictures, table of them (CSV), or a folder of an object store, like "
        "s3://bucket/crops, that fsspec can read",
    )
    flags.DEFINE_string(
        "names", "", "what their paths mean, like '{camera}/{tracklet}/{*}'; a guess when empty"
    )
    flags.DEFINE_string("model", "", "folder that arn_tf.export wrote; its newest version is used")
    flags.DEFINE_string("output", "", "folder of this machine to write shards into")
    flags.DEFINE_enum(
        "engine", "local", _ENGINES, "this machine, or the cluster of Ray that it belongs to"
    )
    flags.DEFINE_enum("dtype", "float32", job_file.DTYPES, "type of the numbers that are written")
    flags.DEFINE_integer("shard_size", 4096, "pictures of a shard")
    flags.DEFINE_bool(
        "skip_bad_images", False, "end with status 0 though some pictures have no embedding"
    )
    command_line.run(main)

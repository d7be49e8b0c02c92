"""Several machines: Ray Data carries batches to actors that hold the model and read the pictures.

The driver alone writes, so the shards are those of one machine, and no worker that dies can leave
half of one: Ray has its batches embedded again elsewhere.
"""

import concurrent.futures
import os
import pathlib
import pickle
import re
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType

from arn_tf.embedding_jobs import ray_worker
from arn_tf.embedding_jobs.batches import EmbeddedBatch
from arn_tf.embedding_jobs.plan import Plan
from arn_tf.embedding_jobs.progress import Progress
from arn_tf.embedding_jobs.shard_writer import ShardWriter
from arn_tf.errors import UserError

# Batches that go to a worker together; while one of them is embedded the next is decoded.
_TOGETHER = 4
_PATIENCE = 120.0  # seconds without a batch, after which that is told
_PACKAGES = ("arn_tf", "datasets")


def imported() -> ModuleType:
    """Returns the module `ray`; raises a `UserError` where it isn't installed."""
    # Its notes on plans and resources; what matters comes as an error.
    os.environ.setdefault("RAY_DATA_LOG_LEVEL", "ERROR")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    # The thread that asks the cluster for these statistics goes on when it has been left.
    os.environ["RAY_DATA_USAGE_DISABLED"] = "1"
    try:
        import ray.data
    except ImportError as error:
        raise UserError(
            f"engine=ray: {error}. On every node: pip install -r requirements-ray.txt", ["engine"]
        ) from error
    return ray


def run(plan: Plan, version: str, progress: Progress) -> None:
    """Embeds what is left of a job on the cluster of Ray that this machine belongs to.

    Without a cluster, RAY_ADDRESS or one that `ray start` joined, Ray starts one of this machine.

    Args:
        plan: of the job.
        version: folder of the model's version, under the same path on every node.
        progress: told of each batch.

    Raises:
        UserError: as `local_engine.run`; or the cluster can't be joined, lacks a CPU, or a node
            can't load the model or has another TensorFlow. What is written is kept.
    """
    ray = imported()
    _join(ray)
    try:
        with ShardWriter(plan) as writer:
            for batch in _told_where_stuck(ray, _embedded(ray, plan, version)):
                writer.add(batch)
                progress.advance(len(batch.content_hash))
    except ray.exceptions.RayError as error:
        raise _failed(error) from error
    finally:
        ray.shutdown()


def _join(ray: ModuleType) -> None:
    # The workers run this code, whatever is installed on their nodes.
    root = str(pathlib.Path(__file__).resolve().parents[2])
    modules = [os.path.join(root, name) for name in _PACKAGES]
    warnings.filterwarnings("ignore", module=r"ray\.")
    try:
        ray.init(
            runtime_env={
                "py_modules": modules,
                "excludes": ["**/__pycache__"],
                "env_vars": _variables(),
            },
            logging_level="ERROR",
            log_to_driver=False,
        )
    # Of another version of Ray or Python, an address that is none, ports, agents.
    except Exception as error:
        text = " ".join(str(error).split())[:500]
        raise UserError(
            f"engine=ray: can't join the cluster ({text}). All nodes need the Ray and the Python "
            "of this one; start them with `ray start`, and set RAY_ADDRESS if the head is another "
            "machine",
            ["engine"],
        ) from error


def _variables() -> dict[str, str]:
    """Returns the environment of the workers: this one's arithmetic."""
    names = [name for name in os.environ if name.startswith("TF_")]
    return {"ARN_TF_WORKER": "1"} | {name: os.environ[name] for name in names}


def _embedded(ray: ModuleType, plan: Plan, version: str) -> Iterator[EmbeddedBatch]:
    import tensorflow as tf

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    cluster = ray.cluster_resources()
    batches = [{"batch": pickle.dumps(batch)} for batch in plan.batches()]
    blocks = -(-len(batches) // _TOGETHER)
    gpus = int(cluster.get("GPU", 0))
    # One is left: an actor of a node that died must find a CPU elsewhere.
    actors = max(1, min(gpus or int(cluster.get("CPU", 1)) - 1, blocks))
    found = ray.data.from_items(batches, override_num_blocks=blocks).map_batches(
        ray_worker.Embedder,
        batch_size=None,
        fn_constructor_args=(plan.job.root, version, plan.job.embedding_space, tf.__version__),
        num_cpus=1,
        num_gpus=1 if gpus else None,
        compute=ray.data.ActorPoolStrategy(size=actors),
        # While one block is computed Ray takes the next apart and hands on the last; an actor's
        # code has one thread all the same.
        max_concurrency=2,
    )
    # Not by `iter_rows` or `iter_batches`: threads of theirs, which fetch ahead, outlive a job that
    # fails, and where one asks a cluster that was left, Ray ends the process without a word.
    for bundle in found.iter_internal_ref_bundles():
        for block in bundle.blocks:
            for pickled in ray.get(block.ref).column("batch").to_pylist():
                batch = pickle.loads(pickled)
                if isinstance(batch, UserError):
                    raise batch
                yield batch


def _told_where_stuck(ray: ModuleType, batches: Iterator[EmbeddedBatch]) -> Iterator[EmbeddedBatch]:
    """Yields the batches, and says so where none comes: Ray waits for ever for nodes that died."""
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        try:
            while True:
                future = thread.submit(next, batches, None)
                while not concurrent.futures.wait([future], _PATIENCE).done:
                    _tell_stuck(ray)
                batch = future.result()
                if batch is None:
                    return
                yield batch
        finally:
            ray.shutdown()  # Else the thread, which the block's end waits for, might wait for ever.


def _tell_stuck(ray: ModuleType) -> None:
    alive = [node for node in ray.nodes() if node["Alive"]]
    cpus = sum(node["Resources"].get("CPU", 0) for node in alive)
    print(
        f"no picture for {_PATIENCE:.0f} s; the cluster has {len(alive)} nodes with {cpus:.0f} "
        "CPUs. If nodes are gone, start them again, or stop here: the same command goes on with "
        "the nodes that are there",
        file=sys.stderr,
        flush=True,
    )


def _failed(error: Exception) -> UserError:
    """Returns the error for workers that failed in a way that nobody foresaw."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)]
    said = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)] or lines
    return UserError(
        f"engine=ray: a worker failed ({said[-1][:300]}). What is written is kept; "
        "the same command goes on with it",
        ["engine"],
    )

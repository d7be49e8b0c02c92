"""`python -m serving.server`."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from datasets import tensorflow_process
from serving import command
from serving.errors import ServingError
from serving.server import arguments


def _whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """Returns a type for argparse: whole numbers from `least` to `most`."""

    def parse(text: str) -> int:
        value = int(text)
        if value < least or (most is not None and value > most):
            raise ValueError
        return value

    # argparse names the type where it refuses a value.
    parse.__name__ = f"number from {least}" + (f" to {most}" if most is not None else "")
    return parse


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.server",
        description="Serves an exported model over gRPC, for development.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--model_dir", required=True, help="folder of the version folders, such as models/arn")
    add("--model_name", default="", help="name to serve it under; the folder's when empty")
    add("--host", default="localhost", help="to listen on; 0.0.0.0 lets other machines in")
    # gRPC takes a larger port and listens somewhere else.
    port = _whole_number(0, 65535)
    add("--port", type=port, default=8500, help="to listen on; 0 takes a free one")
    add("--ssl_config_file", default="", help="SSLConfig as tensorflow_model_server takes it")
    add(
        "--max_batch_size",
        type=_whole_number(1),
        default=32,
        help="most pictures in a request, and in one run of the model",
    )
    add("--max_queued_requests", type=_whole_number(1), default=64, help="most requests that wait")
    # gRPC counts bytes in 32 bits.
    mebibytes = _whole_number(1, 2047)
    add("--max_message_mib", type=mebibytes, default=64, help="largest request, MiB")
    add(
        "--enable_serialization_as_tensor_content",
        action="store_true",
        help="reply with tensor_content instead of float_val",
    )
    return parser


@command.naming_flags()
def main(argv: Sequence[str] | None = None) -> None:
    """Serves until SIGTERM or Ctrl-C.

    Args:
        argv: of the command line; those of this process by default.

    Raises:
        ServingError: for `serving.command.run`.
    """
    args = _parser().parse_args(argv)
    if sys.platform != "linux":
        raise ServingError(
            f"the server for development runs on Linux alone, and this is {sys.platform}; client "
            "and gallery run on macOS and Windows, too"
        )
    arguments.check(args.model_dir, args.host, args.port, args.ssl_config_file)
    # TensorFlow imports Keras, which the server doesn't use, and which fails at settings for other
    # programs: a backend that isn't installed, or its file, and none is below os.devnull.
    for name in [name for name in os.environ if name.startswith("KERAS_")]:
        del os.environ[name]
    os.environ["KERAS_HOME"] = os.devnull
    tensorflow_process.prepare()
    # TensorFlow takes seconds to import, so it comes after the flags.
    with command.without_startup_notes():
        from serving.server.server import Server

    server = Server(
        args.model_dir,
        model_name=args.model_name,
        host=args.host,
        port=args.port,
        ssl_config_file=args.ssl_config_file,
        max_batch_size=args.max_batch_size,
        max_queued_requests=args.max_queued_requests,
        max_message_mib=args.max_message_mib,
        as_tensor_content=args.enable_serialization_as_tensor_content,
    )
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    server.start()
    command.say(
        "arn_tf's server for development. In production use TensorFlow Serving: see docs/serving.md"
    )
    version = server.versions.current.version
    command.say(f"serving {server.model_name} version {version} on {args.host}:{server.port}")
    stopping.wait()
    command.say("stopping: answering what was taken")
    server.stop()


if __name__ == "__main__":
    command.run(main)

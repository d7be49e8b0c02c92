"""`python -m serving.server`."""

import argparse
import signal
import threading

from serving import command
from serving.server.server import Server


def _at_least_one(text):
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _mebibytes(text):
    # gRPC counts bytes in 32 bits.
    value = int(text)
    if not 1 <= value <= 2047:
        raise ValueError
    return value


def _port(text):
    # gRPC takes a larger number and listens somewhere else.
    value = int(text)
    if not 0 <= value <= 65535:
        raise ValueError
    return value


def _arguments():
    parser = argparse.ArgumentParser(
        prog="python -m serving.server",
        description="Serves an exported model over gRPC, for development.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--model_dir", required=True, help="folder of the version folders, such as models/arn")
    add("--model_name", default="", help="name to serve it under; the folder's when empty")
    add("--host", default="localhost", help="to listen on; 0.0.0.0 lets other machines in")
    add("--port", type=_port, default=8500, help="to listen on; 0 takes a free one")
    add("--ssl_config_file", default="", help="SSLConfig as tensorflow_model_server takes it")
    add("--max_batch_size", type=_at_least_one, default=32,
        help="most pictures in a request, and in one run of the model")  # fmt: skip
    add("--max_queued_requests", type=_at_least_one, default=64, help="most requests that wait")
    add("--max_message_mib", type=_mebibytes, default=64, help="largest request, MiB")
    add("--enable_serialization_as_tensor_content", action="store_true",
        help="reply with tensor_content instead of float_val")  # fmt: skip
    return parser.parse_args()


def main():
    arguments = _arguments()
    server = Server(
        arguments.model_dir, arguments.model_name, arguments.host, arguments.port,
        arguments.ssl_config_file, arguments.max_batch_size, arguments.max_queued_requests,
        arguments.max_message_mib, arguments.enable_serialization_as_tensor_content,
    )  # fmt: skip
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    server.start()
    print("arn_tf's server for development. In production use TensorFlow Serving: see "
          "serving/README.md")  # fmt: skip
    version = server.versions.get().version
    print(f"serving {server.model_name} version {version} on {arguments.host}:{server.port}",
          flush=True)  # fmt: skip
    stopping.wait()
    print("stopping: answering what was taken", flush=True)
    server.stop()


if __name__ == "__main__":
    command.run(main)

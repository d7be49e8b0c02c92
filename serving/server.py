"""A server for development: `python -m serving.server --model_dir=models/arn --port=8500`.

Speaks TensorFlow Serving's gRPC with its messages and status codes, so that a client written
against one works with the other. It is one Python process: production is TensorFlow Serving, with
the files of serving/config (serving/README.md).
"""

import argparse
import os
import signal
import threading
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving import check_config, command, config_protos
from serving.batching import Batcher
from serving.errors import BadInputError
from serving.services import ModelService, PredictionService
from serving.versions import Versions

# Those of tensorflow_model_server's --enable_grpc_healthcheck_service.
_HEALTH_SERVICES = ("", "ModelService", "PredictionService")
# Threads beyond those of waiting requests: health, status, metadata, and refusals.
_SPARE_THREADS = 8


class Server:
    """The running server.

    Args:
        model_dir: folder of the version folders; its last part is the model's name.
        model_name: another name.
        host: to listen on.
        port: to listen on; 0 lets the system choose.
        ssl_config_file: as tensorflow_model_server takes it; "" for plain text.
        max_batch_size: most pictures in a request and in one run of the model.
        max_queued_requests: most requests that wait.
        max_message_mib: largest request.
        as_tensor_content: whether replies hold `tensor_content` instead of `float_val`.

    Attributes:
        port: that it listens on.
        model_name: that it serves.

    Raises:
        ServingError: no model, a port in use, unusable TLS files.
    """

    def __init__(
        self, model_dir, model_name="", host="localhost", port=8500, ssl_config_file="",
        max_batch_size=32, max_queued_requests=64, max_message_mib=64, as_tensor_content=False,
    ):  # fmt: skip
        credentials = _credentials(ssl_config_file) if ssl_config_file else None
        model_dir = os.path.abspath(os.path.expanduser(model_dir))
        self.model_name = model_name or os.path.basename(model_dir)
        self.versions = Versions(model_dir)
        self._batcher = Batcher(max_batch_size, max_queued_requests)
        threads = max_queued_requests + _SPARE_THREADS
        self._server = grpc.server(
            futures.ThreadPoolExecutor(threads),
            # Beyond it gRPC would keep requests in a queue without an end.
            maximum_concurrent_rpcs=threads,
            options=[
                ("grpc.max_receive_message_length", max_message_mib << 20),
                ("grpc.max_send_message_length", -1),
                # Linux would let a second server share the port, and half of the requests.
                ("grpc.so_reuseport", 0),
            ],
        )
        self._health = health.HealthServicer()
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(self.model_name, self.versions, self._batcher, as_tensor_content),
            self._server,
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            ModelService(self.model_name, self.versions), self._server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        address = f"{host}:{port}"
        try:
            if credentials:
                self.port = self._server.add_secure_port(address, credentials)
            else:
                self.port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise BadInputError(
                f"--host={host} --port={port}: can't listen there; is another server running?"
            ) from error

    def start(self):
        """Begins to answer."""
        self.versions.start()
        self._server.start()
        for service in _HEALTH_SERVICES:
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    def stop(self, grace=30.0):
        """Takes no more requests, answers those it has, and ends.

        Args:
            grace: seconds after which what is still unanswered is given up.
        """
        self._health.enter_graceful_shutdown()
        self._server.stop(grace).wait()
        self._batcher.close()
        self.versions.stop()


def _credentials(path):
    """`grpc.ServerCredentials` of a text file that holds an SSLConfig."""
    config = config_protos.parse(path, "SSLConfig")
    check_config.check_ssl(config, path)
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )


def _at_least_one(text):
    value = int(text)
    if value < 1:
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
    add("--max_message_mib", type=_at_least_one, default=64, help="largest request, MiB")
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

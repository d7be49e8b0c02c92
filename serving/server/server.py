"""The gRPC server: its services, its limits, and how it ends."""

import os
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.errors import BadInputError
from serving.server import arguments
from serving.server.batcher import Batcher
from serving.server.services import ModelService, PredictionService
from serving.server.version_watcher import Versions

# Those of tensorflow_model_server's --enable_grpc_healthcheck_service.
_HEALTH_SERVICES = ("", "ModelService", "PredictionService")
# Threads beyond those of requests that wait or run: health, status, metadata, and refusals.
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
        max_message_mib: largest request, in MiB.
        as_tensor_content: whether replies hold `tensor_content` instead of `float_val`.

    Attributes:
        port: that it listens on.
        model_name: that it serves.
        versions: of the model.

    Raises:
        ServingError: no model, a port in use, unusable TLS files.
    """

    def __init__(
        self,
        model_dir: str | os.PathLike[str],
        model_name: str = "",
        host: str = "localhost",
        port: int = 8500,
        ssl_config_file: str = "",
        max_batch_size: int = 32,
        max_queued_requests: int = 64,
        max_message_mib: int = 64,
        as_tensor_content: bool = False,
    ) -> None:
        credentials = _credentials(ssl_config_file) if ssl_config_file else None
        model_dir = os.path.abspath(os.path.expanduser(model_dir))
        self.model_name = arguments.served_name(model_dir, model_name)
        self.versions = Versions(model_dir)
        self._batcher = Batcher(max_batch_size, max_queued_requests)
        threads = max_queued_requests + max_batch_size + _SPARE_THREADS
        self._server = grpc.server(
            futures.ThreadPoolExecutor(threads),
            # Those that have no thread yet soon get one, and are refused as unavailable, which
            # clients try again; above this gRPC refuses them, in words that they don't.
            maximum_concurrent_rpcs=16 * threads,
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
        self.port = port
        for address in arguments.addresses(host, port):
            self._listen(address, credentials, ssl_config_file)

    def _listen(
        self, address: str, credentials: grpc.ServerCredentials | None, ssl_config_file: str
    ) -> None:
        place = f"{address}:{self.port}"
        try:
            if credentials:
                self.port = self._server.add_secure_port(place, credentials)
            else:
                self.port = self._server.add_insecure_port(place)
        except RuntimeError as error:
            reason = "can't listen there"
            if credentials:
                reason += f", or key and certificate of {ssl_config_file} don't go together"
            raise BadInputError(f"{place}: {reason}") from error

    def start(self) -> None:
        """Begins to answer."""
        self.versions.start()
        self._server.start()
        for service in _HEALTH_SERVICES:
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    def stop(self, grace: float = 30.0) -> None:
        """Takes no more requests, answers those it has, and ends.

        Args:
            grace: seconds after which requests still unanswered are given up.
        """
        self._health.enter_graceful_shutdown()
        self._server.stop(grace).wait()
        self._batcher.close()
        self.versions.stop()


def _credentials(path: str) -> grpc.ServerCredentials:
    """Returns gRPC's form of a text file that holds an SSLConfig."""
    config = arguments.ssl_config(path)
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )

"""The gRPC channel to a server, with settings that were found to matter."""

import json
import re
from typing import Any

import grpc

from serving.client.tls import Tls
from serving.errors import BadInputError

# A server that restarts or whose queue is full is asked again, for about 1.5 seconds; Predict
# changes nothing, so asking twice is harmless. No other status gets better by asking again.
_RETRY = {
    "maxAttempts": 5,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
_SERVICE_CONFIG = {
    # Every address behind the name gets its share; gRPC's default keeps to the first.
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [
                {"service": "tensorflow.serving.PredictionService"},
                {"service": "tensorflow.serving.ModelService"},
            ],
            "retryPolicy": _RETRY,
        }
    ],
}
_OPTIONS = (
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    # Above its default, 256 KiB, a request is never retried, and nothing says so.
    ("grpc.per_rpc_retry_buffer_size", 64 * 2**20),
    # A proxy for the web, from the environment, has no way to a server of models.
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Below 300 s servers answer "too_many_pings" and hang up.
    ("grpc.keepalive_time_ms", 300_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # How long connecting may take; an address that swallows packets is then no slow model.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)


def check_server(server: str) -> None:
    """Checks "host:port".

    Raises:
        BadInputError: it is something else; gRPC would take it, for port 443 say.
    """
    if not isinstance(server, str) or "://" in server:
        raise BadInputError(
            "give host:port of the gRPC port, localhost:8500 say, without http",
            arguments={"server": server},
        )
    match = re.fullmatch(r"(\[[0-9a-fA-F:.%]+\]|[^\s:/\[\]]+):(\d{1,5})", server, re.ASCII)
    if not match or not 0 < int(match[2]) < 65536:
        raise BadInputError("give host:port, localhost:8500 say", arguments={"server": server})


def open_channel(server: str, tls: Tls | None) -> grpc.Channel:
    """Returns a channel; nothing is sent yet.

    Args:
        server: "host:port".
        tls: files for TLS, or None for plain text.

    Raises:
        BadInputError: the address or a TLS file is not what it should be.
    """
    return _open(grpc, server, tls)


def open_aio_channel(server: str, tls: Tls | None) -> grpc.aio.Channel:
    """As `open_channel`, for asyncio."""
    return _open(grpc.aio, server, tls)


def _open(kind: Any, server: str, tls: Tls | None) -> Any:
    check_server(server)
    if tls is None:
        return kind.insecure_channel(server, options=_OPTIONS)
    return kind.secure_channel(server, tls.credentials(), options=_OPTIONS)

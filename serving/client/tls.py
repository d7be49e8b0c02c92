"""TLS between client and server: the client's files, and what is wrong when it fails."""

import contextlib
import dataclasses
import socket
import ssl
from collections.abc import Callable, Mapping

import grpc

from serving.errors import BadInputError

_PROBE_SECONDS = 2.0


@dataclasses.dataclass(frozen=True)
class Tls:
    """Files for a TLS channel, all PEM.

    Attributes:
        ca: certificate of the authority that signed the server's.
        certificate: the client's own, for a server that asks for one (mTLS).
        key: of `certificate`, without a password.
    """

    ca: str
    certificate: str | None = None
    key: str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Returns gRPC's form of the files.

        Raises:
            BadInputError: a file can't be read, isn't what it should be, or one is missing.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if (self.certificate is None) != (self.key is None):
            raise BadInputError("`tls.certificate` and `tls.key` go together: give both or none")
        ca = _read("tls.ca", self.ca)
        _load({"tls.ca": self.ca}, lambda: context.load_verify_locations(self.ca))
        if self.certificate is None or self.key is None:
            return grpc.ssl_channel_credentials(ca)
        certificate, key = self.certificate, self.key
        pair = {"tls.certificate": certificate, "tls.key": key}
        contents = {name: _read(name, path) for name, path in pair.items()}
        # An empty password, so that OpenSSL doesn't ask for one on the terminal.
        _load(pair, lambda: context.load_cert_chain(certificate, key, password=""))
        return grpc.ssl_channel_credentials(ca, contents["tls.key"], contents["tls.certificate"])


def diagnosis(server: str, tls: Tls | None) -> str | None:
    """Returns what is wrong with TLS, when a server is unavailable.

    gRPC calls any handshake that fails UNAVAILABLE, as it does a server that went away, and of
    several addresses it names one. So the server is asked: a handshake outside gRPC.

    Args:
        server: "host:port".
        tls: files of the channel, or None.

    Returns:
        What to check, as part of a sentence, or None when it isn't TLS.
    """
    host, _, port = server.rpartition(":")
    host = host.strip("[]")
    try:
        with socket.create_connection((host, int(port)), _PROBE_SECONDS) as connection:
            return _handshake(connection, host, tls)
    except ssl.SSLCertVerificationError as error:
        return (
            f"its certificate doesn't pass: {error.verify_message.rstrip('.')}. Check `tls.ca`, "
            "and the host name in `server`"
        )
    except (OSError, ValueError):  # nobody there, somebody who hangs up, or no name of a host
        return None


def _handshake(connection: socket.socket, host: str, tls: Tls | None) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    if tls is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(tls.ca)
        if tls.certificate:
            context.load_cert_chain(tls.certificate, tls.key, password="")
    refused = True
    try:
        with context.wrap_socket(connection, server_hostname=host) as secure:
            if tls is None:
                return "it speaks TLS: give `tls.ca`"
            # TLS 1.3 refuses a client's certificate only now; a server of HTTP/2 speaks first.
            with contextlib.suppress(ConnectionError):
                refused = not secure.recv(1)
    except (ssl.SSLCertVerificationError, ssl.SSLEOFError):
        raise
    except ssl.SSLError as error:
        # An alert comes from somebody who speaks TLS: TLS 1.2 refuses in the handshake.
        if "ALERT" not in str(error):
            return "it doesn't speak TLS: leave out `tls.ca`, or turn on TLS there" if tls else None
        if tls is None:
            return "it speaks TLS: give `tls.ca`"
    if not refused:
        return None
    if tls.certificate is None:
        return "it asks for a client certificate: give `tls.certificate` and `tls.key`"
    return "it refuses our certificate: check `tls.certificate`, and the authority it trusts"


def _read(argument: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise BadInputError(str(error.strerror), arguments={argument: path}) from error


def _load(arguments: Mapping[str, object], load: Callable[[], None]) -> None:
    try:
        load()
    except ssl.SSLError as error:
        raise BadInputError(
            "not a certificate or key in PEM, without a password, that go together "
            f"({error.reason or error})",
            arguments=arguments,
        ) from error

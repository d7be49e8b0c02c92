"""Writes ssl.config, the file that TensorFlow Serving's --ssl_config_file wants.

    python -m serving.deploy.tls_config --key=server.key --certificate=server.pem \\
        --output=ssl.config

The file holds the texts of key and certificate, not their paths, so it is a secret: it's written
with mode 0600 and belongs in no repository. With --client_ca only clients whose certificate that
authority signed may connect (mTLS).
"""

import argparse
import contextlib
import os
import re
import ssl
import stat
import time
from typing import Any

from google.protobuf import text_format

from serving import command
from serving.deploy import config_messages
from serving.errors import BadInputError, TlsError

_PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\r?\n.*?-----END \1-----", re.DOTALL)


def build(
    key: str | os.PathLike[str],
    certificate: str | os.PathLike[str],
    client_ca: str | os.PathLike[str] | None = None,
) -> Any:
    """Returns an `SSLConfig` of PEM files, checked against each other.

    Args:
        key: file with the server's private key, not encrypted.
        certificate: file with the server's certificate, then its chain.
        client_ca: file with the authorities that sign the clients' certificates.

    Raises:
        BadInputError: a file can't be read or isn't such a PEM file.
        TlsError: the key isn't that of the certificate, or a certificate has expired.
    """
    keys = _pem_blocks(key, "PRIVATE KEY")
    if "ENCRYPTED" in keys[0]:
        raise BadInputError(
            f"the key is encrypted, and a server has nobody to ask for the passphrase. "
            f"Decrypt it: openssl pkey -in {key} -out PLAIN_KEY",
            key,
        )
    config = config_messages.message_class("SSLConfig")(
        server_key=keys[0], server_cert="".join(_pem_blocks(certificate, "CERTIFICATE"))
    )
    _shake_hands(key, certificate)
    if client_ca is not None:
        config.custom_ca = "".join(_pem_blocks(client_ca, "CERTIFICATE"))
        config.client_verify = True
        _check_authorities(client_ca)
    return config


def write(config: Any, path: str | os.PathLike[str]) -> None:
    """Writes an `SSLConfig` beside its place with mode 0600, and renames it there.

    Raises:
        BadInputError: it can't be written, or something else than an ssl.config is there.
    """
    partial = f"{path}.partial"
    try:
        if os.path.lexists(path):
            _refuse_to_replace_another_file(path)
        with contextlib.suppress(FileNotFoundError):
            os.remove(partial)  # of a run that was killed
        with open(partial, "x", encoding="utf-8", newline="\n", opener=_open_secret) as file:
            file.write(text_format.MessageToString(config))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.remove(partial)
        raise BadInputError(f"can't be written: {error.strerror}", path) from error


def _open_secret(path: str, flags: int) -> int:
    """Opens a new file that others can't read, not even for a moment."""
    return os.open(path, flags, 0o600)


def _pem_blocks(path: str | os.PathLike[str], kind: str) -> list[str]:
    """Returns the file's blocks of a kind, each ending in a new line, without what is between."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            text = file.read()
    except OSError as error:
        raise BadInputError(error.strerror or str(error), path) from error
    blocks = [f"{m[0]}\n" for m in _PEM_BLOCK.finditer(text) if m[1].endswith(kind)]
    if not blocks:
        raise BadInputError(
            f"has no -----BEGIN {kind}-----, so isn't a PEM file of that kind. From DER: "
            "openssl x509 or pkey with -inform DER",
            path,
        )
    return blocks


def _shake_hands(key: str | os.PathLike[str], certificate: str | os.PathLike[str]) -> None:
    """Proves in memory that a server with these two files and a client that trusts them meet."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False  # the name is the caller's business
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        # An empty password, so that OpenSSL doesn't ask for one on the terminal.
        server.load_cert_chain(certificate, key, password="")
        client.load_verify_locations(certificate)
        sides = [
            client.wrap_bio(to_client, to_server),
            server.wrap_bio(to_server, to_client, server_side=True),
        ]
        while sides:
            for side in tuple(sides):
                with contextlib.suppress(ssl.SSLWantReadError):
                    side.do_handshake()
                    sides.remove(side)
    except ssl.SSLCertVerificationError as error:
        raise TlsError(f"no client would accept it: {error.verify_message}", certificate) from error
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError(f"isn't the certificate of the key {key}", certificate) from error
        raise TlsError(f"can't be used with {key}: {error.reason or error}", certificate) from error


def _check_authorities(path: str | os.PathLike[str]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        raise BadInputError(f"can't be read: {error.reason or error}", path) from error
    authorities = context.get_ca_certs()
    if not authorities:
        raise BadInputError(
            "none of its certificates is an authority's (CA:TRUE); name the file of the authority "
            "that signs the clients' certificates",
            path,
        )
    for authority in authorities:
        if ssl.cert_time_to_seconds(str(authority["notAfter"])) < time.time():
            raise TlsError(f"an authority expired on {authority['notAfter']}", path)


def _refuse_to_replace_another_file(path: str | os.PathLike[str]) -> None:
    if stat.S_ISREG(os.lstat(path).st_mode):
        with contextlib.suppress(BadInputError):
            if config_messages.parse(path, "SSLConfig").server_key:
                return
    raise BadInputError("is there and isn't an ssl.config; name another `output`", path)


@command.naming_flags()
def _main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m serving.deploy.tls_config",
        description="Writes an ssl.config from PEM files.",
    )
    parser.add_argument("--key", required=True, metavar="FILE", help="server's private key")
    parser.add_argument("--certificate", required=True, metavar="FILE", help="its certificate")
    parser.add_argument(
        "--client_ca", metavar="FILE", help="demand client certificates signed by this authority"
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="ssl.config to write")
    flags = parser.parse_args()
    write(build(flags.key, flags.certificate, flags.client_ca), flags.output)
    clients = "must show a certificate" if flags.client_ca else "need no certificate"
    # Windows, and disks of theirs, have other rights.
    open_to_others = stat.S_IMODE(os.stat(flags.output).st_mode) & 0o077
    rights = "see that nobody else can read it" if open_to_others else "mode 0600, keep it secret"
    print(f"Wrote {flags.output} ({rights}); clients {clients}")


if __name__ == "__main__":
    command.run(_main)

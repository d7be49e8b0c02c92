"""The flags that say which server to ask, and how; the gallery's commands have them too."""

import argparse
import typing

from datasets import camera_names
from serving.errors import BadInputError

if typing.TYPE_CHECKING:
    from serving.client.embedding_client import EmbeddingClient


def add_server_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that say which server to ask, and how, to an `argparse` parser."""
    group = parser.add_argument_group("server")
    group.add_argument("--server", required=True, help="host:port of the gRPC port")
    group.add_argument("--model", default="arn", help="its name at the server (%(default)s)")
    group.add_argument(
        "--timeout", type=float, default=30.0, help="seconds for one request (%(default)s)"
    )
    group.add_argument(
        "--batch_size", type=int, default=8, help="pictures in a request (%(default)s)"
    )
    group.add_argument(
        "--in_flight", type=int, default=4, help="requests under way at a time (%(default)s)"
    )
    group.add_argument(
        "--tls_ca", metavar="FILE", help="turns TLS on; PEM of the authority behind the server"
    )
    group.add_argument(
        "--tls_certificate", metavar="FILE", help="PEM of our own certificate, for mTLS"
    )
    group.add_argument("--tls_key", metavar="FILE", help="PEM of the certificate's key")


def add_camera_flags(parser: argparse.ArgumentParser, flag: str, text: str, default: str) -> None:
    """Adds the flags that say which camera took pictures; one of them may be given.

    Args:
        parser: of a command.
        flag: name of the flag that names the one camera of all.
        text: help of that flag.
        default: what is done without any of them, for the help.
    """
    group = parser.add_mutually_exclusive_group()
    group.add_argument(f"--{flag}", metavar="NAME", help=text)
    group.add_argument(
        "--camera_pattern",
        metavar="REGEXP",
        help="regular expression whose one group is the camera in a file's name, like "
        f"{camera_names.PATTERN}",
    )
    group.add_argument(
        "--names",
        metavar="TEMPLATE",
        help="what the paths below the folders mean, like '{camera}/{*}' or "
        "'{camera}/{tracklet}/{*}'; a table says it itself. Without any of these "
        f"three: {default}",
    )


def from_arguments(args: argparse.Namespace) -> "EmbeddingClient":
    """Returns the client that the flags of `add_server_flags` ask for.

    Raises:
        BadInputError: a flag is not what it must be.
    """
    # NumPy and gRPC are loaded here, when a command runs, and not for --help.
    from serving.client.embedding_client import EmbeddingClient
    from serving.client.tls import Tls

    tls = None
    if args.tls_ca is not None:
        tls = Tls(args.tls_ca, args.tls_certificate, args.tls_key)
    elif args.tls_certificate is not None or args.tls_key is not None:
        raise BadInputError("`tls_certificate` and `tls_key` need `tls_ca`, which turns TLS on")
    return EmbeddingClient(
        args.server,
        model=args.model,
        timeout=args.timeout,
        batch_size=args.batch_size,
        in_flight=args.in_flight,
        tls=tls,
    )

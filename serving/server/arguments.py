"""Arguments of the server, checked without TensorFlow, which takes seconds to import.

gRPC is content if one of a name's addresses is free: two servers could then each have a half of
"localhost", and clients both. So addresses are found out before gRPC tries.
"""

import errno
import os
import re
import socket
from typing import Any

from serving.deploy import check_config, config_messages
from serving.errors import BadInputError


def check(model_dir: str | os.PathLike[str], host: str, port: int, ssl_config_file: str) -> None:
    """Checks what a server can be refused for before its model is loaded.

    Args:
        model_dir: folder of the version folders.
        host: to listen on.
        port: to listen on; 0 for any.
        ssl_config_file: "" for plain text.

    Raises:
        BadInputError: one of them is wrong; it is named.
    """
    if ssl_config_file:
        ssl_config(ssl_config_file)
    versions(os.path.expanduser(model_dir))
    addresses(host, port)


def served_name(model_dir: str, model_name: str = "") -> str:
    """Returns the name that a model is served under; every request has it, as UTF-8.

    Args:
        model_dir: folder of the version folders, absolute; its last part is the name.
        model_name: another name.

    Raises:
        BadInputError: the name isn't UTF-8.
    """
    name = model_name or os.path.basename(model_dir)
    try:
        name.encode()
    except UnicodeEncodeError as error:
        given = {"model_name": model_name} if model_name else {"model_dir": model_dir}
        raise BadInputError(
            "the name of the model must be UTF-8; give one with `model_name`", arguments=given
        ) from error
    return name


def versions(model_dir: str | os.PathLike[str]) -> list[int]:
    """Returns the versions of a model in ascending order, at least one.

    Raises:
        BadInputError: there is none, or the folder can't be read.
    """
    found = sorted(version_folders(model_dir))
    if not found:
        raise BadInputError(
            "no version of a model there (a folder named 1, 2, ...); write one with "
            "python -m arn_tf.export",
            arguments={"model_dir": model_dir},
        )
    return found


def version_folders(model_dir: str | os.PathLike[str]) -> dict[int, str]:
    """Returns {version: name of its folder}; "0001" is version 1.

    Raises:
        BadInputError: the folder can't be read.
    """
    try:
        return {
            int(entry.name): entry.name
            for entry in sorted(os.scandir(model_dir), key=lambda entry: entry.name)
            if re.fullmatch("[0-9]+", entry.name) and entry.is_dir()
        }
    except OSError as error:
        raise BadInputError(str(error), arguments={"model_dir": model_dir}) from error


def ssl_config(path: str | os.PathLike[str]) -> Any:
    """Returns the `SSLConfig` of a text file.

    Raises:
        BadInputError: it holds no such message, or key and certificate are not PEM.
    """
    config = config_messages.parse(path, "SSLConfig")
    check_config.check_ssl(config, path)
    return config


def addresses(host: str, port: int) -> list[str]:
    """Returns the addresses of a host on which a port is free, IPv6 ones in brackets.

    Those that this machine doesn't have, ::1 on one without IPv6, are left out.

    Args:
        host: name or address to listen on.
        port: to listen on; 0 for any.

    Raises:
        BadInputError: the host is unknown or another machine's, or the port is in use on one of
            its addresses.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise BadInputError(str(error), arguments={"host": host}) from error
    free = []
    for family, kind, protocol, _, place in dict.fromkeys(found):
        try:
            with socket.socket(family, kind, protocol) as probe:
                if family == socket.AF_INET6:
                    # Otherwise :: is 0.0.0.0 as well.
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                # What a server that has just ended leaves behind is no obstacle.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(place)
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                continue
            raise BadInputError(
                f"can't listen there ({error.strerror}); is another server running?",
                arguments={"host": host, "port": port},
            ) from error
        free.append(f"[{place[0]}]" if family == socket.AF_INET6 else str(place[0]))
    if not free:
        raise BadInputError("not an address of this machine", arguments={"host": host})
    return free

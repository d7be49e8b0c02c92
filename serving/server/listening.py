"""Where a server may listen, found out before gRPC tries.

gRPC is content if one of a name's addresses is free: two servers could then each have a half of
"localhost", and clients both.
"""

import errno
import socket

from serving.errors import BadInputError


def addresses(host, port):
    """The addresses of a host on which a port is free, IPv6 ones in brackets.

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
        raise BadInputError(f"--host={host}: {error}") from error
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
                f"--host={host} --port={port}: can't listen there ({error.strerror}); is another "
                "server running?"
            ) from error
        free.append(f"[{place[0]}]" if family == socket.AF_INET6 else place[0])
    if not free:
        raise BadInputError(f"--host={host}: not an address of this machine")
    return free

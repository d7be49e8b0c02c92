"""Arguments and flags of the clients, checked where they come in."""

import math
import os

import numpy as np

from serving.client.camera_names import LARGEST_CAMERA, UNKNOWN_CAMERA
from serving.client.tls import Tls
from serving.errors import BadInputError


def add_server_flags(parser):
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


def from_flags(args):
    """The arguments of a client, by name, from the flags of `add_server_flags`.

    Raises:
        BadInputError: --tls_certificate or --tls_key without --tls_ca.
    """
    tls = None
    if args.tls_ca is not None:
        tls = Tls(args.tls_ca, args.tls_certificate, args.tls_key)
    elif args.tls_certificate is not None or args.tls_key is not None:
        raise BadInputError("--tls_certificate and --tls_key need --tls_ca, which turns TLS on")
    names = ("server", "model", "timeout", "batch_size", "in_flight")
    return {name: getattr(args, name) for name in names} | {"tls": tls}


def check(model, timeout, batch_size, in_flight):
    """Checks what a client is made with.

    Raises:
        BadInputError: the argument is named.
    """
    if not isinstance(model, str) or not model:
        raise BadInputError(f"--model={model}: give the model's name at the server")
    if not _is_number(timeout) or not 0 < timeout < math.inf:
        raise BadInputError(f"--timeout={timeout}: give seconds above 0")
    for name, value in (("batch_size", batch_size), ("in_flight", in_flight)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise BadInputError(f"--{name}={value}: give a whole number of at least 1")


def names(paths):
    """List of paths as str.

    Raises:
        BadInputError: one path instead of a list, or something that is no path.
    """
    if isinstance(paths, str | bytes | os.PathLike):
        raise BadInputError(f"give a list of paths, not the one path {paths!r}")
    try:
        return [os.fsdecode(path) for path in paths]
    except TypeError as error:
        raise BadInputError(f"paths must be a list of str or path objects: {error}") from error


def encoded(pictures, names_):
    """Two lists as long: bytes objects and their names.

    Raises:
        BadInputError: it is something else.
    """
    if isinstance(pictures, bytes | bytearray | memoryview | str):
        raise BadInputError("give a list of bytes objects, not one")
    pictures = list(pictures)
    for row, data in enumerate(pictures):
        if not isinstance(data, bytes | bytearray | memoryview):
            raise BadInputError(f"picture {row} is a {type(data).__name__}, not bytes")
    if names_ is None:
        names_ = [f"image {row}" for row in range(len(pictures))]
    names_ = names(names_)
    if len(names_) != len(pictures):
        raise BadInputError(f"{len(names_)} names for {len(pictures)} pictures")
    return [bytes(data) for data in pictures], names_


def images(array, image_size):
    """The array, checked.

    Args:
        array: should be uint8 [N, height, width, 3].
        image_size: (height, width).

    Raises:
        BadInputError: another type or shape, or N is 0.
    """
    array = np.asarray(array)
    wanted = f"uint8 [N, {image_size[0]}, {image_size[1]}, 3] with N of at least 1"
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[1:] != (*image_size, 3):
        raise BadInputError(f"images are {array.dtype} {list(array.shape)}, not {wanted}")
    if not len(array):
        raise BadInputError(f"images are empty; give {wanted}")
    return array


def cameras(camera_id, count):
    """List of the cameras' numbers, or None where none were given.

    Args:
        camera_id: should be whole numbers [count], -1 where a camera is unknown; or None.
        count: how many pictures there are.

    Raises:
        BadInputError: it is something else.
    """
    if camera_id is None:
        return None
    wanted = "give one whole number of 0 or more for each picture, -1 where it is unknown"
    try:
        found = np.asarray(camera_id)
    except ValueError as error:  # rows of several lengths
        raise BadInputError(f"camera_id: {wanted}") from error
    if found.ndim != 1 or (found.size and not np.issubdtype(found.dtype, np.integer)):
        raise BadInputError(f"camera_id is {found.dtype} {list(found.shape)}: {wanted}")
    if len(found) != count:
        raise BadInputError(f"camera_id has {len(found)} numbers for {count} pictures: {wanted}")
    for camera in found.tolist():
        if not UNKNOWN_CAMERA <= camera <= LARGEST_CAMERA:
            raise BadInputError(f"camera_id has {camera}: {wanted}")
    return found.tolist()


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)

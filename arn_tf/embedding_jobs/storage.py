"""Where pictures lie: a disk, or an object store that fsspec knows; their bytes as they are."""

import os
import re

import fsspec

from arn_tf.errors import ArgumentError, UserError
from datasets.files import answers
from datasets.files.pictures import MAX_BYTES, PictureError

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class StorageError(UserError):
    """A disk or store doesn't answer: it is about no picture, and the job ends."""


def is_address(images: str) -> bool:
    """Whether this is an address such as s3://bucket/crops, and no path of this machine."""
    return _ADDRESS.match(images) is not None


def refuse_password(address: str) -> None:
    """Raises a `UserError` for an address with a password or token, which outputs would hold.

    A name alone is one of a place: abfs://container@account, sftp://user@host.
    """
    protocol, _, rest = address.partition("://")
    host, _, path = rest.partition("/")
    who, _, host = host.rpartition("@")
    if ":" in who or (who and protocol.lower() in ("http", "https")):
        name = protocol.upper()
        raise ArgumentError(
            "images",
            f"{protocol}://{host}/{path}",
            "leave user and password out of the address, for all outputs would hold them. Set them "
            "in fsspec's configuration, ~/.config/fsspec/conf.json, or in the environment, "
            f"FSSPEC_{name}_USERNAME and FSSPEC_{name}_PASSWORD or what the store calls them",
        )


def opened(address: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Returns a store, and an address's path in it.

    Raises:
        UserError: the protocol is unknown, its package isn't installed, or it can't be reached.
    """
    try:
        store, path = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise ArgumentError("images", address, f"{error} (fsspec)") from error
    except ValueError as error:
        known = "one that fsspec knows, such as s3, gs, abfs or file"
        raise ArgumentError("images", address, f"{error}; name {known}") from error
    except Exception as error:  # each store has errors of its own
        raise failed(address, error) from error
    return store, path


def prefix(path: str) -> str:
    """Returns what the paths of files in a folder of a store begin with."""
    return f"{path.rstrip('/')}/"


def failed(address: str, error: Exception) -> StorageError:
    """Returns the error for a store that doesn't answer."""
    text = " ".join(str(error).split())[:300]
    return StorageError(
        f"images={address}: the store can't be read ({type(error).__name__}: {text}). Check address"
        " and access; the same command goes on with what is written",
        ["images"],
    )


class Storage:
    """Reads pictures below one folder, from several threads at once.

    Args:
        root: the folder, or its address.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._store: fsspec.AbstractFileSystem | None = None
        if is_address(root):
            self._store, self._path = opened(root)

    def read(self, file: str, size: int) -> bytes:
        """Returns the bytes of a picture's file.

        Args:
            file: its path below the folder.
            size: in bytes, as it was listed; of a store, more than `MAX_BYTES` aren't fetched.

        Raises:
            PictureError: it is gone, on a disk mustn't be read, or is too large.
            StorageError: disk or store don't answer, or a store refuses.
        """
        try:
            return self._from_disk(file) if self._store is None else self._from_store(file, size)
        except (FileNotFoundError, PermissionError) as error:
            # An unmounted drive has none of its files.
            if self._store is None and answers.is_gone(self._root):
                raise self._gone(file, error) from error
            self._check_store()
            reason = os.strerror(error.errno) if error.errno else type(error).__name__
            raise PictureError(f"can't be read ({reason})") from error

    def _from_disk(self, file: str) -> bytes:
        try:
            with open(os.path.join(self._root, file), "rb") as opened_file:
                return opened_file.read(MAX_BYTES + 1)
        except (FileNotFoundError, PermissionError):
            raise
        except OSError as error:
            if answers.is_sure(error):
                raise PictureError(f"can't be read ({error.strerror})") from error
            raise self._gone(file, error) from error

    def _from_store(self, file: str, size: int) -> bytes:
        assert self._store is not None
        if size > MAX_BYTES:
            raise PictureError(f"has {size} bytes; the limit is {MAX_BYTES}")
        try:
            return self._store.cat_file(prefix(self._path) + file)
        except FileNotFoundError:
            raise
        # Each store has errors of its own. A refusal is about no picture: a token has expired.
        except Exception as error:
            raise failed(f"{prefix(self._root)}{file}", error) from error

    def _check_store(self) -> None:
        """Raises a `StorageError` where a store has nothing any more, as of a bucket that went."""
        if self._store is None:
            return
        try:
            self._store.invalidate_cache()
            if not self._store.ls(self._path, detail=False):
                raise FileNotFoundError("nothing is there any more")
        except Exception as error:  # each store has errors of its own
            raise failed(self._root, error) from error

    def _gone(self, file: str, error: OSError) -> StorageError:
        return StorageError(
            f"images={self._root}: {file} can't be read ({error.strerror}), and the folder doesn't "
            "answer. Check the disk or network drive, and give the same command again; it goes on "
            "with what is written",
            ["images"],
        )

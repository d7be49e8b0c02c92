"""What can go wrong between a picture and an answer, as exceptions that name the picture.

Texts name arguments of functions, in backquotes where they stand in a sentence: "raise `timeout`".
The command lines turn these names into flags (`serving.command.naming_flags`).
"""

import os
from collections.abc import Mapping


class ServingError(Exception):
    """Anything below; the text says what to do next.

    Args:
        message: for a person to read.
        file: name of the picture or file that it is about, if it is about one.
        arguments: {name: value} of the arguments that it is about; "tls.ca" is field `ca` of
            argument `tls`.
    """

    def __init__(
        self,
        message: str,
        file: str | os.PathLike[str] | None = None,
        arguments: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.arguments = dict(arguments or {})

    def __str__(self) -> str:
        named = " ".join(f"{name}={value}" for name, value in self.arguments.items())
        file = os.fspath(self.file) if self.file else ""
        return ": ".join(part for part in (file, named, self.message) if part)


class BadInputError(ServingError):
    """An argument or a file of the caller's is not what it must be."""


class BadImageError(BadInputError):
    """A picture can't be read or decoded."""


class UnavailableError(ServingError):
    """The server can't be reached, went away, or has a full queue, and retries didn't help."""


class DeadlineError(ServingError):
    """No answer came in time."""


class TooLargeError(ServingError):
    """A message, or what it asks for, is above a limit of the server's."""


class TlsError(ServingError):
    """The two sides don't agree on TLS: certificate, authority, or one of them speaks none."""


class ModelNotFoundError(ServingError):
    """The server has no such model, version or signature."""


class NoCameraSignatureError(ServingError):
    """Cameras were given, and the model has no signature that takes them."""


class ModelSwitchedError(ServingError):
    """The model changed in the middle of a job; its embeddings must not be mixed."""


class RefusedError(ServingError):
    """The server refused a request for a reason that no other class names."""


class ReplyError(ServingError):
    """The server's answer isn't what the export promises."""


class GalleryError(ServingError):
    """A gallery can't be read, written, or doesn't go with this model."""

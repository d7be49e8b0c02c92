"""What can go wrong between a picture and an answer, as exceptions that name the picture.

`serving.command.run` prints their text and ends with exit status 2.
"""


class ServingError(Exception):
    """Anything below; the text says what to do next.

    Args:
        message: for a person to read.
        file: name of the picture or file that it is about, if it is about one.
    """

    def __init__(self, message, file=None):
        super().__init__(f"{file}: {message}" if file else message)
        self.file = file


class BadInputError(ServingError):
    """A flag, an argument or a file of the caller's is not what it must be."""


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

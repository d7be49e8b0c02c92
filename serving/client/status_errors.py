"""gRPC's status codes as this package's exceptions: server, its reason, what to do next."""

import re

import grpc

from serving.errors import (
    BadImageError,
    DeadlineError,
    ModelNotFoundError,
    ModelSwitchedError,
    RefusedError,
    ReplyError,
    ServingError,
    TooLargeError,
    UnavailableError,
)

_LONGEST = 300
_SIZE = re.compile(
    r"larger than|too large|too big|\bOOM\b|out of memory|exceeds?\b.*\b(size|bytes|pixels|limit)",
    re.IGNORECASE,
)
_BATCH = re.compile(r"larger than maximum input batch size (\d+)")
_GARBLED = "Exception deserializing response"


def one_line(details: str | None) -> str:
    """Returns a server's text in one line of at most 300 characters, fit for a terminal."""
    text = " ".join((details or "nothing").split())
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text.rstrip(".") if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def from_status(
    code: grpc.StatusCode,
    details: str | None,
    server: str,
    model: str,
    version: int | None = None,
    timeout: float = 0.0,
) -> ServingError:
    """Returns the exception for a call that failed.

    Args:
        code: not OK.
        details: the server's or gRPC's text, or None.
        server: "host:port".
        model: name that was asked for.
        version: number that was asked for, or None for the newest.
        timeout: of the call, in seconds.

    Returns:
        A `ServingError`. INVALID_ARGUMENT is a `RefusedError` here: only the caller knows
        whether a picture was sent (`bad_image`).
    """
    details = details or ""
    text = f"{server}: {one_line(details)}"
    match code:
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
            return _unavailable(details, text, server)
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineError(
                f"{server}: no answer within {timeout:g} s. Raise `timeout`, or ask for less at a "
                "time with `batch_size` and `in_flight`"
            )
        case grpc.StatusCode.RESOURCE_EXHAUSTED if _SIZE.search(details):
            return TooLargeError(f"{text}. Lower `batch_size`, or send a smaller picture")
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return UnavailableError(f"{text}. It has too much to do: lower `in_flight`, or wait")
        case grpc.StatusCode.NOT_FOUND if version is not None:
            return ModelSwitchedError(
                f"{text}. Version {version} of model {model} is gone, for a newer one most likely; "
                "nothing of this job was mixed, run it again"
            )
        case grpc.StatusCode.NOT_FOUND:
            return ModelNotFoundError(
                f"{text}. It has no model {model}, or is still loading it: check `model`"
            )
        case grpc.StatusCode.FAILED_PRECONDITION if "signature" in details.lower():
            return ModelNotFoundError(
                f"{text}. Model {model} is not an export of arn_tf: check `model`"
            )
        case grpc.StatusCode.INVALID_ARGUMENT if batch := _BATCH.search(details):
            return TooLargeError(f"{text}. Give `batch_size`={batch[1]}")
        case grpc.StatusCode.INTERNAL if _GARBLED in details:
            return ReplyError(f"{server}: its answer can't be parsed. Is it TensorFlow Serving?")
        case grpc.StatusCode.UNIMPLEMENTED:
            return RefusedError(
                f"{text}. It doesn't speak TensorFlow Serving's gRPC API: check `server`"
            )
    return RefusedError(f"{text} ({code.name})")


def about_picture(code: grpc.StatusCode, details: str | None) -> bool:
    """Whether a Predict call failed for what its pictures are."""
    return code is grpc.StatusCode.INVALID_ARGUMENT and not _BATCH.search(details or "")


def bad_image(details: str | None, server: str, name: str) -> BadImageError:
    """Returns the exception for a picture that a server can't decode."""
    return BadImageError(f"{server} refused it: {one_line(details)}", name)


def _unavailable(details: str, text: str, server: str) -> UnavailableError:
    if "queue" in details:
        return UnavailableError(f"{text}. Its queue is full: lower `in_flight`, or wait")
    # Of several addresses of a host gRPC names one, which may be another's refusal.
    if "Failed parsing HTTP/2" in details or server.endswith(":8501"):
        return UnavailableError(
            f"{text}. Is that a gRPC port? TensorFlow Serving's is 8500; 8501 speaks REST"
        )
    return UnavailableError(f"{text}. Check `server`, and that the server is up")

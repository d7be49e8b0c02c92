"""Values of flags of what measures speed or accuracy, checked before anything is measured."""

import argparse
import os
import re


def count(text: str) -> int:
    """Returns a whole number from 1.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not re.fullmatch("[0-9]{1,18}", text) or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def size(text: str) -> str:
    """Returns HEIGHTxWIDTH.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not re.fullmatch("[1-9][0-9]{0,3}x[1-9][0-9]{0,3}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no HEIGHTxWIDTH, such as 128x64")
    return text


def folder(text: str) -> str:
    """Returns a folder that is there.

    Raises:
        argparse.ArgumentTypeError: it isn't.
    """
    if not os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no folder")
    return text


def new_folder(text: str) -> str:
    """Returns a folder that can be written; it is made where it isn't there.

    Raises:
        argparse.ArgumentTypeError: it can't be.
    """
    try:
        os.makedirs(text, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error.strerror}") from error
    if not os.access(text, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"{text!r} can't be written")
    return text


def new_file(text: str) -> str:
    """Returns the path of a file that can be written: minutes of measuring come before it.

    Raises:
        argparse.ArgumentTypeError: it can't.
    """
    place = os.path.dirname(text) or os.curdir
    if os.path.isdir(text) or not os.path.isdir(place) or not os.access(place, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} can't be written")
    return text

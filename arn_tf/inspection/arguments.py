"""What is wrong with the arguments of an inspection, before pictures are looked at."""

import os

from arn_tf.errors import ArgumentError, UserError
from arn_tf.inspection import source as sources_given
from arn_tf.run.settings import DATASETS
from datasets.files import answers, atomic_files, walk
from datasets.own_cameras import table
from datasets.own_cameras.template import Template, TemplateError


def check(path: str, names: str, source: str, json: str, sheets: str) -> None:
    """Checks the arguments of `command.inspect`.

    Raises:
        UserError: one can't be used.
    """
    full = os.path.expanduser(path)
    try:
        folder = answers.is_folder(full)
    except OSError as error:
        raise UserError(
            f"{path}: can't be read ({error.strerror}); {answers.way_out(error)}"
        ) from error
    if not folder and not _is_table(full):
        if path in DATASETS:
            raise UserError(
                f"{path} is a data set that has a name; what is inspected is a folder of your own "
                "pictures, or a table of them (CSV)"
            )
        raise UserError(f"{path}: neither a folder of pictures nor a table of them (CSV)")
    if names:
        if not folder:
            raise ArgumentError("names", names, "a table says itself what its pictures are")
        try:
            Template(names)
        except TemplateError as error:
            raise ArgumentError("names", names, str(error)) from error
    for each in sources_given.parts(source):
        there = os.path.expanduser(each)
        if each not in DATASETS and not os.path.isdir(there) and not _is_table(there):
            raise ArgumentError(
                "source", each, f"neither a folder, a table (CSV), nor {', '.join(DATASETS)}"
            )
    if json:
        # A device would be replaced by the file.
        if os.path.exists(json) and not os.path.isfile(json):
            raise ArgumentError("json", json, "is no file, but a folder or device; name a file")
        if not os.path.isdir(os.path.dirname(os.path.abspath(json))):
            raise ArgumentError("json", json, "there is no such folder to write it into")
        _check_writable("json", json)
    if sheets:
        if os.path.exists(sheets) and not os.path.isdir(sheets):
            raise ArgumentError("contact_sheets", sheets, "is no folder")
        if folder and walk.is_inside(sheets, full):
            raise ArgumentError(
                "contact_sheets", sheets, "lies among the pictures; name a folder elsewhere"
            )
        _check_writable("contact_sheets", os.path.join(sheets, "sheet"))


def _check_writable(argument: str, path: str) -> None:
    """Checks the first folder above a path that is there: nobody waits for an hour in vain."""
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    try:
        atomic_files.check_writable(folder)
    except OSError as error:
        raise ArgumentError(
            argument, path, f"{folder} can't be written ({error.strerror or error})"
        ) from error


def _is_table(path: str) -> bool:
    return os.path.isfile(path) and table.is_named_so(path)

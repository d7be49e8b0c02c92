"""Inspects a folder or table, and tells: as text, as JSON, as contact sheets."""

import os
import shutil

from arn_tf.errors import ArgumentError, UserError
from arn_tf.inspection import arguments, contact_sheets, json_report, text, unlisted
from arn_tf.inspection.declared import Declared, declared
from arn_tf.inspection.finding import Pictures
from arn_tf.inspection.gathering import gather
from arn_tf.inspection.report import Report, report
from arn_tf.inspection.source import in_source
from datasets.files.printable import printable
from datasets.own_cameras import listing, manifest


def inspect(path: str, names: str, source: str, json: str, sheets: str) -> int:
    """Prints what is in a folder or table; returns the exit status: 1 where training can't work.

    Args:
        path: of the folder or table.
        names: template of the paths in a folder; a guess if it is empty.
        source: names or paths of the labelled data that it is compared with, or "".
        json: path of a file for the same facts, or "".
        sheets: folder for contact sheets, or "".

    Raises:
        UserError: an argument can't be used.
    """
    json, sheets = os.path.expanduser(json), os.path.expanduser(sheets)
    arguments.check(path, names, source, json, sheets)
    try:
        found = listing.read(path, names, skip_bad=True)
    except listing.ListingError as error:
        told, written = Report(path, [unlisted.finding(error, names)]), []
    else:
        title = f"looking at {os.path.basename(os.path.normpath(path))}"
        facts = gather(found.root, found.files, printable(title))
        shared, compared = in_source(source, facts)
        pictures = Pictures(found, facts, _declared(found, path, names), shared)
        told = report(path, pictures, shutil.disk_usage(os.curdir).free, compared)
        written = _sheets(sheets, told, pictures)
    for line in text.lines(told):
        print(line)
    if written:
        place = f"{len(written)} in {sheets}, such as {os.path.basename(written[0])}"
        print(f"\ncontact sheets: {printable(place)}")
    if json:
        try:
            json_report.write(json, told, written)
        except OSError as error:
            raise ArgumentError("json", json, error.strerror or str(error)) from error
        print(f"{'' if written else chr(10)}JSON: {printable(json)}")
    return 0 if told.can_train else 1


def _declared(found: listing.Listing, path: str, names: str) -> Declared:
    try:
        return declared(found, path, names)
    except (OSError, manifest.ManifestError) as error:
        raise UserError(f"{path}: changed while it was looked at; look again ({error})") from error


def _sheets(folder: str, told: Report, pictures: Pictures) -> list[str]:
    if not folder:
        return []
    try:
        return contact_sheets.write(folder, told.cameras, pictures)
    except OSError as error:
        raise ArgumentError("contact_sheets", folder, error.strerror or str(error)) from error

"""The report as text for a terminal."""

import textwrap
import unicodedata
from collections.abc import Iterator

from arn_tf.inspection import limits
from arn_tf.inspection.amounts import amount, duration
from arn_tf.inspection.cameras import Camera, Size
from arn_tf.inspection.finding import Finding, Level
from arn_tf.inspection.names import listed, shortened
from arn_tf.inspection.report import Report
from datasets.files.printable import printable, told

# Letters in a line.
_WIDTH = 100
_LONGEST_NAME = 32
_LONGEST_PATH = 60
# More rows hide the findings; JSON has all.
_MOST_CAMERAS = 40
_NO_CAMERA = "(no camera)"


def lines(report: Report) -> Iterator[str]:
    """Yields the lines of a report; names are safe to print."""
    named = sum(camera.name is not None for camera in report.cameras)
    yield printable(f"{report.path}: {report.pictures:,} pictures") + (
        f" of {named:,} camera{'s' * (named != 1)}" if named else ""
    )
    if report.pictures:
        yield from _overview(report)
        yield ""
        yield from _table(report)
        yield ""
        yield from _examples(report)
    yield ""
    yield from _findings(report)


def _overview(report: Report) -> Iterator[str]:
    formats = ", ".join(f"{name} {count:,}" for name, count in report.formats.items())
    rows = [
        ("taken for", report.told_by),
        *(("note", note) for note in report.notes),
        ("readable", f"{report.readable:,} of {report.pictures:,}: {formats or 'none'}"),
        ("size", amount(report.bytes)),
    ]
    if report.splits:
        rows.append(("splits", ", ".join(f"{k} {v:,}" for k, v in report.splits.items())))
    if report.persons:
        rows.append(("persons", f"{report.persons:,} are known by name"))
    if report.tracklets:
        rows.append(
            ("tracklets", f"{report.tracklets:,}, of {report.median_tracklet:,} pictures (median)")
        )
    if report.near_within:
        rows.append(
            (
                "near copies",
                f"{report.near_within:.1%} look the same as another of their camera, as those of "
                "one track do",
            )
        )
    rows.append(
        (
            "decoded",
            f"{amount(report.decoded_bytes)} at {limits.INPUT_SIZE} "
            f"({limits.BYTES / 1000:.1f} KB each); {amount(report.free_bytes)} are free here",
        )
    )
    if report.compared:
        rows.append(("source", report.compared))
    for title, text in rows:
        yield from _wrapped(printable(text), f"  {title:<13}", " " * 15)


def _table(report: Report) -> Iterator[str]:
    header = ["camera", "pictures"]
    tracklets = any(camera.tracklets for camera in report.cameras)
    times = any(camera.first is not None for camera in report.cameras)
    header += ["tracklets"] * tracklets
    header += ["median size", "smallest", "largest", "high/wide"] + ["time span"] * times
    rows = [header]
    for camera in report.cameras[:_MOST_CAMERAS]:
        row = [_name(camera), f"{camera.pictures:,}"]
        row += [f"{camera.tracklets:,}"] * tracklets
        row += [_size(each) for each in (camera.median_size, camera.smallest, camera.largest)]
        row.append(f"{camera.median_aspect:.2f}" if camera.readable else "-")
        row += [_span(camera)] * times
        rows.append(row)
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        blanks = [" " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        others = (blank + cell for cell, blank in zip(row[1:], blanks[1:], strict=True))
        yield "  ".join(["", row[0] + blanks[0], *others])
    yield "  sizes are width x height, pixels" + (
        f"; {len(report.cameras) - _MOST_CAMERAS:,} more cameras are in --json"
        if len(report.cameras) > _MOST_CAMERAS
        else ""
    )


def _examples(report: Report) -> Iterator[str]:
    yield "Examples"
    for camera in report.cameras[:_MOST_CAMERAS]:
        line = f"{_name(camera)}: {listed(_shown(camera.examples), 0)}"
        yield from _wrapped(line, "  ", " " * 4)


def _findings(report: Report) -> Iterator[str]:
    if not report.findings:
        yield "Findings: none; training can begin"
        return
    levels = [f"{level.value} {count}" for level in Level if (count := report.count(level))]
    verdict = "training can begin" if report.can_train else "training can't work like this"
    yield f"Findings: {len(report.findings)} ({', '.join(levels)}); {verdict}"
    for finding in report.findings:
        yield ""
        yield from _finding(finding)


def _finding(finding: Finding) -> Iterator[str]:
    label = f"{finding.level.value:<6} "
    text = printable(finding.title)
    if finding.examples:
        text += f": {listed(_shown(finding.examples), finding.count)}"
    yield from _wrapped(text, label, " " * len(label))
    for title, content in (("causes", finding.causes), ("do", finding.do)):
        yield from _wrapped(content, f"{'':7}{title:<7} ", " " * 15)


def _shown(names: tuple[str, ...]) -> list[str]:
    return [shortened(printable(name), _LONGEST_PATH) for name in names]


def _name(camera: Camera) -> str:
    name = _NO_CAMERA if camera.name is None else told(camera.name)
    return shortened(name, _LONGEST_NAME)


def _width(text: str) -> int:
    """Returns the columns of a terminal that text takes: Chinese letters take two."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text)


def _size(size: Size) -> str:
    return f"{size[0]}x{size[1]}" if size[0] else "-"


def _span(camera: Camera) -> str:
    if camera.first is None or camera.last is None:
        return "-"
    return duration(camera.last - camera.first)


def _wrapped(text: str, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )

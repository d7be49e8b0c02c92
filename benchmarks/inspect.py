"""Times `arn_tf.inspect` on many small crops: hard links of a few, in a folder of its own.

    python -m benchmarks.inspect --pictures=200000

Tells seconds per 1,000 pictures and the peak memory of the command for a tenth of the pictures and
for all of them: what memory grows by tells whether decoded pictures are kept. The few files are in
the system's cache, so that the disk doesn't count.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time

from PIL import Image, ImageFilter

from benchmarks import flags, report, running
from benchmarks.report import Report

CROPS = 64  # a file has at most some ten thousand names
CAMERAS = 8


def draw_crops(folder: str) -> list[str]:
    """Writes `CROPS` JPEG files of 64x128 pixels, 3 KB each as those of Market-1501."""
    paths = []
    for number in range(CROPS):
        noise = Image.merge("RGB", [Image.effect_noise((64, 128), 180) for _ in range(3)])
        encoded = io.BytesIO()
        noise.filter(ImageFilter.GaussianBlur(1)).save(encoded, "JPEG", quality=90)
        paths.append(os.path.join(folder, f"crop{number}"))
        with open(paths[-1], "wb") as file:
            file.write(encoded.getvalue())
    return paths


def link(crops: list[str], folder: str, count: int) -> None:
    """Makes `count` names of crops, evenly in folders of `CAMERAS` cameras."""
    for camera in range(CAMERAS):
        os.makedirs(os.path.join(folder, f"camera{camera}"))
    for number in range(count):
        path = os.path.join(folder, f"camera{number % CAMERAS}", f"{number:07d}.jpg")
        os.link(crops[number % len(crops)], path)


def measure(folder: str) -> tuple[float, float, float]:
    """Returns seconds on the clock, those of the CPU, and peak memory in MiB of the command."""
    line = [sys.executable, "-m", "arn_tf.inspect", folder]
    start = time.perf_counter()
    running = subprocess.Popen(line, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(running.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(line)} failed")
    mib = used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return time.perf_counter() - start, used.ru_utime + used.ru_stime, mib


def main(count: int, path: str | None) -> None:
    """Measures a tenth and all of the pictures, and prints a report."""
    where, rows = report.machine(), []
    with tempfile.TemporaryDirectory() as folder:
        crops = draw_crops(folder)
        for number in sorted({max(count // 10, 1), count}):
            place = os.path.join(folder, str(number))
            link(crops, place, number)
            seconds, cpu, peak = measure(place)
            rows.append([number, 1e3 * cpu / number, 1e3 * seconds / number, peak])
    columns = ("pictures", "CPU s per 1,000", "clock s per 1,000", "peak MiB")
    notes = [f"Hard links of {len(crops)} crops; one run of each size, imports included."]
    report.finish(Report(columns, rows, notes), where, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=flags.count, default=20_000)
    report.add_flag(parser)
    given = parser.parse_args()
    running.run(lambda: main(given.pictures, given.json))

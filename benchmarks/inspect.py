"""Times `arn_tf.inspect` on many small crops: hard links of a few, in a folder of its own.

    python -m benchmarks.inspect --pictures=200000

Prints seconds per 1,000 pictures and the peak memory of the command for a tenth of the pictures and
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


def main(count: int) -> None:
    """Measures a tenth and all of the pictures, and prints a line of each."""
    with tempfile.TemporaryDirectory() as folder:
        crops = draw_crops(folder)
        for number in (count // 10, count):
            place = os.path.join(folder, str(number))
            link(crops, place, number)
            seconds, cpu, peak = measure(place)
            print(
                f"{number:,} pictures: {seconds:.1f} s, {seconds / number * 1000:.2f} s per 1,000 "
                f"({cpu / number * 1000:.2f} s of CPU), peak {peak:.0f} MiB",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=20_000)
    main(parser.parse_args().pictures)

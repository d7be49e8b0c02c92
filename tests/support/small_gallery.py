"""A small gallery for tests, and what is in it and on its disk."""

import hashlib
import sqlite3
import subprocess
import sys

import numpy as np

from serving.gallery.records import Binding, Picture
from serving.gallery.store import GalleryStore
from tests.support.places import ROOT

DIM = 16
BINDING = Binding("00112233445566aa", "arn", 3, DIM)


def unit_vectors(count, seed=0, dim=DIM):
    vectors = np.random.default_rng(seed).standard_normal((count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def picture(number, camera="1"):
    return Picture(f"/crops/{number:05d}.jpg", camera, hashlib.sha256(b"%d" % number).digest())


def filled(folder, count, seed=0):
    vectors = unit_vectors(count, seed)
    store = GalleryStore.create(
        str(folder), BINDING, [picture(number) for number in range(count)], vectors
    )
    return store, vectors


def contents(store):
    """{file: embedding bytes}"""
    with store.snapshot():
        pictures, vectors = store.load()
    return {each.file: vector.tobytes() for each, vector in zip(pictures, vectors, strict=True)}


def everything_on_disk(folder):
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def traces(folder, vectors, width=8):
    """Vectors any 2 aligned numbers of which are somewhere in the folder, at any offset."""
    data = everything_on_disk(folder)
    there = {data[start : start + width] for start in range(len(data) - width + 1)}
    return [
        row
        for row, vector in enumerate(vectors)
        if any(vector.tobytes()[at : at + width] in there for at in range(0, 4 * DIM, width))
    ]


def integrity(folder):
    with sqlite3.connect(folder / "gallery.sqlite") as connection:
        return connection.execute("PRAGMA integrity_check").fetchone()[0]


def python(code, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )

"""Galleries of the same rows, in a folder and in Milvus Lite."""

import dataclasses
import hashlib

from datasets.own_cameras.cameras import Tracklet
from serving.gallery import place
from serving.gallery.records import Picture
from tests.support.small_gallery import BINDING, unit_vectors

PLACES = ("gal", "gal.db")
ONE = unit_vectors(1)
ODD = 'lift "7"\\ \t\n%_é'  # a camera's name may be anything


def pictures(count):
    """Of three cameras and none, with tracklets and ages."""
    return [
        Picture(
            f"/crops/{number % 5}/[{number:03d}].jpg",
            (None, "1", "2", ODD)[number % 4],
            hashlib.sha256(b"%d" % number).digest(),
            inserted_at=1000 + number,
            tracklet=Tracklet(f"t{number // 8}", "/crops") if number % 4 else None,
            taken_at=None if number % 5 == 0 else number * 0.1,
        )
        for number in range(count)
    ]


def both(count=60):
    """The same rows in a folder and in Milvus, and their embeddings."""
    vectors = unit_vectors(count)
    return [place.create(each, BINDING, pictures(count), vectors) for each in PLACES], vectors


def rows(found):
    return [dataclasses.replace(each, id=0) for each in found]


def loaded(store):
    """{file: (picture, embedding bytes)}"""
    with store.snapshot():
        found, vectors = store.load()
    return {
        each.file: (each, vector.tobytes())
        for each, vector in zip(rows(found), vectors, strict=True)
    }

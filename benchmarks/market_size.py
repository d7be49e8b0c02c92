"""Synthetic embeddings, persons and cameras, as many as Market-1501 has."""

import numpy as np

from arn_tf.ranking import arguments

QUERIES, PERSONS, CAMERAS, WIDTH = 3368, 750, 6, 2048
MATCHABLE, DISTRACTORS, JUNK = 13115, 2798, 3819
# What makes an embedding: its person, its camera (1) and the rest of the picture. With
# these the mAP is that of a model transferred from another network of cameras.
PERSON, NOISE = 1.3, 3.0


def make_arguments() -> dict[str, np.ndarray]:
    """Returns the arguments of `rank_gallery`, the same in every process."""
    random = np.random.default_rng(1501)
    persons = random.standard_normal((PERSONS + 1, WIDTH), np.float32)
    cameras = random.standard_normal((CAMERAS, WIDTH), np.float32)

    def embed(person: np.ndarray, camera: np.ndarray) -> np.ndarray:
        embeddings = random.standard_normal((person.size, WIDTH), np.float32)
        for row, embedding in enumerate(embeddings):
            embedding *= NOISE
            embedding += cameras[camera[row]]
            if person[row] > 0:
                embedding += PERSON * persons[person[row]]
        return embeddings

    query_person = np.arange(QUERIES) % PERSONS + 1
    gallery_person = np.repeat(
        [1, arguments.DISTRACTOR, arguments.JUNK], [MATCHABLE, DISTRACTORS, JUNK]
    )
    gallery_person[:MATCHABLE] = np.arange(MATCHABLE) % PERSONS + 1
    random.shuffle(gallery_person)
    query_camera = random.integers(0, CAMERAS, query_person.size)
    gallery_camera = random.integers(0, CAMERAS, gallery_person.size)
    return {
        "query_embeddings": embed(query_person, query_camera),
        "gallery_embeddings": embed(gallery_person, gallery_camera),
        "query_person_id": query_person,
        "gallery_person_id": gallery_person,
        "query_camera_id": query_camera,
        "gallery_camera_id": gallery_camera,
    }

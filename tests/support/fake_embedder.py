"""A client without a server: `serving.client.EmbeddingClient` as far as the gallery uses it.

Run as a program it is `python -m serving.gallery` with this client, so that a test can kill it:

    python tests/support/fake_embedder.py CHUNK add --server=none --gallery=gal/ crops/

It prints a line for every chunk whose successor is asked for: that one is committed.
"""

import hashlib
import pathlib
import sys

import numpy as np
from PIL import Image

from serving.client.results import Embeddings, ModelDescription
from serving.errors import BadImageError

SPACE = "00112233445566aa"


def by_content(file, dim):
    """A random direction that depends on the bytes of the file alone."""
    digest = hashlib.sha256(pathlib.Path(file).read_bytes()).digest()
    return np.random.default_rng(list(digest)).standard_normal(dim)


def by_colour(file, dim):
    """Mean red, green and blue, then zeros."""
    with Image.open(file) as picture:
        colour = np.asarray(picture.convert("RGB"), np.float64).mean(axis=(0, 1))
    return np.concatenate([colour + 1, np.zeros(dim - 3)])


class FakeClient:
    """Embeds files with a function; files that contain BAD can't be decoded.

    Args:
        embed: function from a file and a length to a vector of any length above 0.
        fail_after: error to raise once that many chunks are out: (chunks, error).
        cameras: numbers of those that the model knows; None for a model that takes no cameras.

    Attributes:
        asked: the files that came, in order; camera_id: their cameras, if there were any.
    """

    def __init__(
        self,
        embed=by_content,
        dim=16,
        chunk=3,
        space=SPACE,
        version=1,
        fail_after=None,
        cameras=None,
    ):
        self.embed, self.dim, self.chunk = embed, dim, chunk
        self.space, self.version, self.fail_after = space, version, fail_after
        self.cameras = cameras
        self.asked, self.camera_id = [], []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def describe(self):
        takes_cameras = self.cameras is not None
        return ModelDescription("arn", self.version, self.dim, (224, 224), takes_cameras)

    def stream_files(self, paths, skip_bad_images=False, camera_id=None):
        assert (camera_id is None) == (self.cameras is None)
        camera_of = dict(zip(paths, camera_id or [None] * len(paths), strict=True))
        for number, start in enumerate(range(0, len(paths), self.chunk)):
            if self.fail_after and number == self.fail_after[0]:
                raise self.fail_after[1]
            files, vectors, skipped = [], [], []
            for file in paths[start : start + self.chunk]:
                self.asked.append(file)
                if b"BAD" in pathlib.Path(file).read_bytes():
                    skipped.append(BadImageError("can't be decoded", file))
                    if not skip_bad_images:
                        raise skipped[0]
                    continue
                files.append(file)
                vectors.append(unit(self.embed(file, self.dim)))
            matrix = np.array(vectors, np.float32).reshape(-1, self.dim)
            space = self.space if files else ""
            unknown = []
            if self.cameras is not None:
                self.camera_id += [camera_of[file] for file in files]
                unknown = sorted({camera_of[file] for file in files} - {*self.cameras})
            yield Embeddings(matrix, files, space, self.version, skipped, unknown)


def unit(vector):
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def write_files(folder, names, content=""):
    """Files that begin as JPEGs do and differ from each other; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in names]
    for path in paths:
        path.write_bytes(b"\xff\xd8\xff" + f"{path.name} {content}".encode())
    return paths


class _Acknowledging(FakeClient):
    def stream_files(self, paths, skip_bad_images=False):
        for part in super().stream_files(paths, skip_bad_images):
            yield part
            print("committed", len(part.files), flush=True)


if __name__ == "__main__":
    from serving import client, command
    from serving.gallery import command_line

    client.from_arguments = lambda args: _Acknowledging(chunk=int(sys.argv[1]))
    command.run(lambda: command_line.main(sys.argv[2:]))

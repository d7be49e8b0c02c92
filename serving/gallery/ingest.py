"""Puts pictures into a gallery as the server embeds them, chunk by chunk.

Every chunk is committed before the next is asked for, so whatever ends the job, the chunks
before are kept, and the same `add` goes on where it stopped.
"""

import dataclasses
import sys

import tqdm

from serving.client import camera_names
from serving.command import printable
from serving.errors import BadImageError, GalleryError
from serving.gallery import arguments as gallery_arguments
from serving.gallery import store as gallery_store
from serving.gallery.records import Binding, Picture

_WAYS_OUT = "have that model served, or build another gallery with this one"


@dataclasses.dataclass
class Outcome:
    """What became of pictures.

    Attributes:
        added: how many are committed.
        bad: how many were left out.
        unknown_cameras: the cameras among those committed that the model has no statistics for.
        version: of the model that embedded them.
    """

    added: int = 0
    bad: int = 0
    unknown_cameras: set[int] = dataclasses.field(default_factory=set)
    version: int = 0


def read_pictures(files, camera, skip_bad_images, outcome):
    """Reads what a gallery notes of its pictures, beside their embeddings.

    Args:
        files: absolute paths.
        camera: function from a path to the name of its camera or None.
        skip_bad_images: whether to leave out what can't be read.
        outcome: `Outcome`; `bad` counts these.

    Returns:
        {file: `Picture`}, in the order of `files`.

    Raises:
        BadImageError: one can't be read, unless `skip_bad_images`.
    """
    pictures = {}
    for file in tqdm.tqdm(files, "reading", unit=" pictures", disable=None):
        try:
            # Hashed before it is sent: if it changes in between, a later add sees that.
            pictures[file] = Picture(file, camera(file), gallery_arguments.content_hash(file))
        except BadImageError as error:
            if not skip_bad_images:
                raise
            _report_bad(error, outcome)
    return pictures


def build(folder, client, pictures, skip_bad_images, outcome):
    """Makes a gallery of pictures; if none of them can be embedded, there is none.

    Args:
        folder: where.
        client: `serving.client.EmbeddingClient`.
        pictures: {file: `Picture`}.
        skip_bad_images: whether to leave out what the server can't decode.
        outcome: `Outcome`; updated as chunks are committed.

    Raises:
        ServingError: the server or the gallery failed. What `outcome` counts is kept.
    """
    model = client.describe()
    chunks = _chunks(client, model, pictures, skip_bad_images, outcome)
    chunk, part = next(chunks, ([], None))
    if not chunk:
        raise GalleryError("is not made: none of the pictures could be embedded", folder)
    binding = Binding(part.space, model.name, part.version, part.vectors.shape[1])
    with gallery_store.create(folder, binding, chunk, part.vectors) as store:
        _count(chunk, part, outcome)
        _commit(store, model, chunks, outcome)


def add(store, client, pictures, skip_bad_images, outcome):
    """Adds pictures to an open gallery; other arguments and errors are those of `build`.

    Pictures that it replaces are erased with `GalleryStore.finish_erasure`, by the caller.
    """
    model = client.describe()
    check_model(store, model)
    _commit(store, model, _chunks(client, model, pictures, skip_bad_images, outcome), outcome)


def check_model(store, model):
    """Raises GalleryError if a model's embeddings can't be in this gallery: saves the work.

    Args:
        store: `GalleryStore`.
        model: `serving.client.ModelDescription` of the server's.
    """
    if model.embedding_dim != store.binding.dim:
        raise GalleryError(
            f"holds embeddings of {store.binding.dim} numbers ({_name(store.binding)}), and the "
            f"server sends {model.embedding_dim} ({_name(model)}); {_WAYS_OUT}",
            store.folder,
        )


def check_space(store, model, part):
    """Raises GalleryError if embeddings of this space can't be compared with the gallery's.

    Args:
        store: `GalleryStore`.
        model: `serving.client.ModelDescription` of the server's.
        part: `serving.client.Embeddings`, perhaps of a newer version.
    """
    if part.space != store.binding.embedding_space:
        raise GalleryError(
            f"holds embeddings of space {store.binding.embedding_space} ({_name(store.binding)}), "
            f"and the server sends space {part.space} ({model.name} version {part.version}); "
            f"{_WAYS_OUT}",
            store.folder,
        )


def stream(client, model, files, names, **arguments):
    """`client.stream_files`, with the cameras if the model takes any.

    Args:
        client: `serving.client.EmbeddingClient`.
        model: `serving.client.ModelDescription` of the server's.
        files: paths.
        names: of each file's camera, or None; a camera whose name is no number is unknown.
        **arguments: of `stream_files`.
    """
    if model.takes_cameras:
        arguments["camera_id"] = [camera_names.number_of(name) for name in names]
    return client.stream_files(files, **arguments)


def _commit(store, model, chunks, outcome):
    for chunk, part in chunks:
        check_space(store, model, part)
        store.add(chunk, part.vectors)
        _count(chunk, part, outcome)


def _count(chunk, part, outcome):
    outcome.added += len(chunk)
    outcome.unknown_cameras.update(part.unknown_cameras)
    outcome.version = part.version


def _chunks(client, model, pictures, skip_bad_images, outcome):
    """Yields (list of N `Picture`, `Embeddings` of them) with N > 0."""
    files, names = list(pictures), [picture.camera for picture in pictures.values()]
    with tqdm.tqdm(total=len(pictures), desc="embedding", unit=" pictures", disable=None) as bar:
        for part in stream(client, model, files, names, skip_bad_images=skip_bad_images):
            for error in part.skipped:
                _report_bad(error, outcome)
            if part.files:
                yield [pictures[file] for file in part.files], part
            # Here what was yielded is committed.
            bar.update(len(part.files) + len(part.skipped))


def _report_bad(error, outcome):
    outcome.bad += 1
    tqdm.tqdm.write(f"skipped: {printable(str(error))}", file=sys.stderr)


def _name(model):
    return f"{model.name} version {model.version}"

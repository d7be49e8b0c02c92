"""Puts pictures into a gallery as the server embeds them, one request's pictures at a time.

They are committed before the next are asked for, so whatever ends the job, those before are kept,
and the same `add` goes on where it stopped.
"""

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence

import tqdm

from datasets import camera_names
from serving.client import EmbeddingClient, Embeddings, ModelDescription
from serving.client.picture_cameras import Known
from serving.command import printable, warn
from serving.errors import BadImageError, GalleryError
from serving.gallery import place
from serving.gallery.arguments import content_hash
from serving.gallery.gallery import Gallery
from serving.gallery.outcome import Outcome
from serving.gallery.records import Binding, Picture
from serving.gallery.same_content import plan, to_embed, without_copies

_WAYS_OUT = "have that model served, or build another gallery with this one"


def read_pictures(
    files: Sequence[str],
    known: Known,
    skip_bad_images: bool,
    outcome: Outcome,
) -> dict[str, Picture]:
    """Returns what a gallery holds of its pictures, beside their embeddings.

    Args:
        files: absolute paths.
        known: of them, camera, tracklet and time.
        skip_bad_images: whether to leave out what can't be read.
        outcome: `bad` is raised by how many were left out.

    Returns:
        {file: picture}, in the order of `files`.

    Raises:
        BadImageError: one can't be read, unless `skip_bad_images`.
    """
    pictures = {}
    for file in tqdm.tqdm(files, "reading", unit=" pictures", disable=None):
        try:
            # Hashed before it is sent: if it changes in between, a later add sees that.
            pictures[file] = Picture(
                file,
                known.camera(file),
                content_hash(file),
                tracklet=known.tracklets.get(file),
                taken_at=known.times.get(file),
            )
        except BadImageError as error:
            if not skip_bad_images:
                raise
            _report_bad(error, outcome)
    return pictures


def build(
    folder: str,
    client: EmbeddingClient,
    pictures: dict[str, Picture],
    skip_bad_images: bool,
    outcome: Outcome,
) -> None:
    """Makes a gallery of pictures; if none of them can be embedded, there is none.

    Copies are told from pictures as in `serving.gallery.same_content`.

    Args:
        folder: where.
        client: embeds them.
        pictures: {file: picture}.
        skip_bad_images: whether to leave out what the server can't decode.
        outcome: updated with every commit.

    Raises:
        ServingError: the server or the gallery failed. What `outcome` counts is kept.
    """
    pictures = without_copies(pictures, plan(pictures), outcome)
    model = client.describe()
    parts = _parts(client, model, pictures, skip_bad_images, outcome)
    first = next(parts, None)
    if first is None:
        raise GalleryError("is not made: none of the pictures could be embedded", folder)
    binding = Binding(first.space, model.name, first.version, first.vectors.shape[1])
    rows = [pictures[file] for file in first.files]
    with place.create(folder, binding, rows, first.vectors) as store:
        _count(first, pictures, outcome)
        _commit(store, model, pictures, parts, outcome)


def add(
    store: Gallery,
    client: EmbeddingClient,
    pictures: dict[str, Picture],
    skip_bad_images: bool,
    outcome: Outcome,
) -> None:
    """Adds what `same_content.settle` returned to its gallery; the rest is as in `build`.

    A picture that moved is not embedded again where its new camera decides nothing. Pictures
    that it replaces are erased with `Gallery.finish_erasure`, by the caller.
    """
    model = client.describe()
    check_model(store, model)
    pictures = to_embed(store, model, pictures, outcome)
    parts = _parts(client, model, pictures, skip_bad_images, outcome)
    _commit(store, model, pictures, parts, outcome)


def check_model(store: Gallery, model: ModelDescription) -> None:
    """Checks the length of a model's embeddings, before anything is embedded.

    Args:
        store: the gallery.
        model: of the server.

    Raises:
        GalleryError: it isn't the gallery's.
    """
    if model.embedding_dim != store.binding.dim:
        raise GalleryError(
            f"holds embeddings of {store.binding.dim} numbers ({_name(store.binding)}), and the "
            f"server sends {model.embedding_dim} ({_name(model)}); {_WAYS_OUT}",
            store.folder,
        )


def check_space(store: Gallery, model: ModelDescription, part: Embeddings) -> None:
    """Checks that embeddings are of the gallery's embedding space.

    Args:
        store: the gallery.
        model: of the server.
        part: embeddings, perhaps of a newer version.

    Raises:
        GalleryError: they are of another space and can't be compared.
    """
    if part.space != store.binding.embedding_space:
        raise GalleryError(
            f"holds embeddings of space {store.binding.embedding_space} ({_name(store.binding)}), "
            f"and the server sends space {part.space} ({model.name} version {part.version}); "
            f"{_WAYS_OUT}",
            store.folder,
        )


def stream(
    client: EmbeddingClient,
    model: ModelDescription,
    files: Sequence[str],
    names: Sequence[str | None],
    skip_bad_images: bool = False,
) -> Iterator[Embeddings]:
    """Returns `client.stream_files`, with the cameras if the model takes any.

    Args:
        client: embeds the files.
        model: of the server.
        files: paths.
        names: of each file's camera, or None; a camera whose name is no number is unknown.
        skip_bad_images: see `EmbeddingClient.embed_files`.
    """
    if not model.takes_cameras:
        return client.stream_files(files, skip_bad_images)
    numbers = [camera_names.number_of(name) for name in names]
    return client.stream_files(files, skip_bad_images, numbers)


def _commit(
    store: Gallery,
    model: ModelDescription,
    pictures: dict[str, Picture],
    parts: Iterator[Embeddings],
    outcome: Outcome,
) -> None:
    for part in parts:
        check_space(store, model, part)
        rows = [pictures[file] for file in part.files]
        copies = store.add(rows, part.vectors, once=True)
        outcome.copies.update(copies)
        _count(part, pictures, outcome, copies)


def _count(
    part: Embeddings,
    pictures: Mapping[str, Picture],
    outcome: Outcome,
    copies: Collection[str] = (),
) -> None:
    outcome.added += sum(file not in outcome.moved and file not in copies for file in part.files)
    outcome.unknown_cameras.update(part.unknown_cameras)
    outcome.cameras.update(pictures[file].camera for file in part.files)
    outcome.version = part.version


def _parts(
    client: EmbeddingClient,
    model: ModelDescription,
    pictures: dict[str, Picture],
    skip_bad_images: bool,
    outcome: Outcome,
) -> Iterator[Embeddings]:
    """Yields embeddings, none of them empty, and reports what was skipped."""
    files, names = list(pictures), [picture.camera for picture in pictures.values()]
    with tqdm.tqdm(total=len(pictures), desc="embedding", unit=" pictures", disable=None) as bar:
        for part in stream(client, model, files, names, skip_bad_images):
            for error in part.skipped:
                _report_bad(error, outcome)
            if part.files:
                yield part
            # Here what was yielded is committed.
            bar.update(len(part.files) + len(part.skipped))


def _report_bad(error: BadImageError, outcome: Outcome) -> None:
    # The same bytes are as bad under another name.
    same = [file for file, there in outcome.copies.items() if there == error.file]
    for each in [error, *(BadImageError(error.message, file) for file in same)]:
        outcome.bad += 1
        outcome.copies.pop(str(each.file), None)
        outcome.apart.pop(str(each.file), None)
        with tqdm.tqdm.external_write_mode(sys.stderr):  # beside the progress bar
            warn(f"skipped: {printable(str(each))}")


def _name(model: ModelDescription | Binding) -> str:
    return f"{model.name} version {model.version}"

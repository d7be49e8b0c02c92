"""What the subcommands of `serving.client` do, given their parsed arguments."""

import argparse
import os
from collections.abc import Sequence

from datasets import camera_names
from datasets.own_cameras.cameras import Told
from serving import client
from serving.client import picture_cameras, results
from serving.client.npz_file import EmbeddingFile
from serving.client.picture_files import find, link_note
from serving.command import printable, warn
from serving.errors import BadImageError, BadInputError

# A PNG of one black pixel: its embedding comes with the name of the embedding space.
_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c4944415478da63606060000000040001c8eaebf90000000049454e44ae426082"
)


def embed(args: argparse.Namespace) -> None:
    """`embed`: writes the embeddings of picture files to one .npz file."""
    with client.from_arguments(args) as server, EmbeddingFile(args.output) as file:
        links: dict[str, str] = {}
        named_paths, named = picture_cameras.tables(args.paths, args.names)
        paths = find(named_paths, links)
        if links:
            warn(printable(link_note(links)))
        cameras = _cameras(args, paths, named)
        camera_id = None if cameras is None else list(map(camera_names.number_of, cameras))
        file.reserve(len(paths), server.describe().embedding_dim)
        embeddings = server.embed_files(
            paths, args.skip_bad_images, progress=True, camera_id=camera_id
        )
        _list_skipped(embeddings.skipped)
        for line in results.camera_notes(
            embeddings.unknown_cameras, args.model, embeddings.version, cameras or ()
        ):
            warn(printable(line))
        if not embeddings.files:
            raise BadInputError(
                f"none of the {len(paths)} files could be embedded; nothing written"
            )
        file.write(embeddings, args.model)
    skipped = f", {len(embeddings.skipped)} skipped" if embeddings.skipped else ""
    print(
        f"{printable(args.output)}: {len(embeddings.files)} embeddings of dimension "
        f"{embeddings.vectors.shape[1]}{skipped}; model {printable(args.model)} version "
        f"{embeddings.version}, embedding space {embeddings.space}"
    )


def _cameras(args: argparse.Namespace, paths: Sequence[str], named: Told) -> list[str] | None:
    """Returns the name of each picture's camera, or None where no flag and no table tells any."""
    if (args.camera, args.camera_pattern, args.names) == (None, None, None) and not any(
        named.cameras.values()
    ):
        return None
    files = [os.path.abspath(path) for path in paths]
    known = picture_cameras.known(
        args.paths, files, named, args.camera, args.camera_pattern, args.names
    )
    found = []
    for path, file in zip(paths, files, strict=True):
        camera = known.camera(file)
        if not camera:
            raise BadInputError("no camera by `camera_pattern`, `names` or its table", path)
        found.append(camera)
    return found


def status(args: argparse.Namespace) -> None:
    """`status`: prints the model's versions, sizes and embedding space."""
    with client.from_arguments(args) as server:
        versions = server.versions()
        print(f"model      {printable(args.model)} at {args.server}")
        for each in versions:
            print(printable(f"version    {each.version} {each.state} {each.error}".rstrip()))
        description = server.describe()
        height, width = description.image_size
        answer = server.embed_encoded([_PIXEL], ["a test picture"])
    print(f"answers    version {answer.version}")
    print(f"embedding  {answer.vectors.shape[1]} numbers, space {answer.space}")
    print(f"images     {height}x{width} (height x width); encoded pictures of any size")
    if description.takes_cameras:
        print("cameras    pictures may come with their camera's number")


def _list_skipped(skipped: Sequence[BadImageError]) -> None:
    if skipped:
        warn(f"skipped {len(skipped)}:")
    for error in skipped:
        warn(f"  {printable(str(error))}")

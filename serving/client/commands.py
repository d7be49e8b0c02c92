"""The commands of `python -m serving.client`: embed files, and ask what is served."""

import argparse
import sys

from serving.client import add_server_flags, camera_names, from_arguments
from serving.client.npz_file import EmbeddingFile
from serving.client.picture_files import find
from serving.command import printable
from serving.errors import BadInputError

# A PNG of one black pixel: asking for its embedding tells the embedding space.
_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c4944415478da63606060000000040001c8eaebf90000000049454e44ae426082"
)


def main(argv=None):
    """Runs one command; its errors are for `serving.command.run`.

    Args:
        argv: of the command line; those of this process by default.
    """
    parser = argparse.ArgumentParser(prog="python -m serving.client", description=__doc__)
    commands = parser.add_subparsers(required=True)

    embed = commands.add_parser("embed", help="embed picture files and write one .npz file")
    embed.add_argument("paths", nargs="+", help="JPEG and PNG files, or folders of them")
    embed.add_argument("--output", required=True, help=".npz file to write")
    embed.add_argument(
        "--skip_bad_images",
        action="store_true",
        help="leave out files that can't be read or decoded, and list them at the end",
    )
    embed.add_argument(
        "--camera_pattern",
        metavar="REGEXP",
        help="embed by the statistics of cameras: regular expression whose one group is the "
        f"number of the camera in a file's name, like {camera_names.PATTERN}; off by default",
    )
    add_server_flags(embed)
    embed.set_defaults(run=_embed)

    status = commands.add_parser("status", help="say what the server serves")
    add_server_flags(status)
    status.set_defaults(run=_status)

    args = parser.parse_args(argv)
    args.run(args)


def _embed(args):
    with from_arguments(args) as client, EmbeddingFile(args.output) as file:
        paths, camera_id = find(args.paths), None
        if args.camera_pattern is not None:
            pattern = camera_names.compile_pattern(args.camera_pattern)
            camera_id = camera_names.numbers_of(paths, pattern)
        file.reserve(len(paths), client.describe().embedding_dim)
        embeddings = client.embed_files(
            paths, args.skip_bad_images, progress=True, camera_id=camera_id
        )
        _list_skipped(embeddings.skipped)
        for line in camera_names.notes(embeddings.unknown_cameras, args.model, embeddings.version):
            print(printable(line), file=sys.stderr)
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


def _list_skipped(skipped):
    if skipped:
        print(f"skipped {len(skipped)}:", file=sys.stderr)
    for error in skipped:
        print(f"  {printable(str(error))}", file=sys.stderr)


def _status(args):
    with from_arguments(args) as client:
        versions = client.versions()
        print(f"model      {printable(args.model)} at {args.server}")
        for each in versions:
            print(printable(f"version    {each.version} {each.state} {each.error}".rstrip()))
        description = client.describe()
        height, width = description.image_size
        answer = client.embed_encoded([_PIXEL], ["a test picture"])
    print(f"answers    version {answer.version}")
    print(f"embedding  {answer.vectors.shape[1]} numbers, space {answer.space}")
    print(f"images     {height}x{width} (height x width); encoded pictures of any size")
    if description.takes_cameras:
        print("cameras    pictures may come with their camera's number")

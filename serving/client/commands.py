"""The commands of `python -m serving.client`: embed files, and ask what is served."""

import argparse
import os
import sys

from serving.client import add_server_flags, from_arguments
from serving.client.embedding_file import EmbeddingFile
from serving.client.pictures import find
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
    add_server_flags(embed)
    embed.set_defaults(run=_embed)

    status = commands.add_parser("status", help="say what the server serves")
    add_server_flags(status)
    status.set_defaults(run=_status)

    args = parser.parse_args(argv)
    args.run(args)


def _embed(args):
    with from_arguments(args) as client, EmbeddingFile(args.output) as file:
        paths = find(args.paths)
        description = client.describe()
        file.reserve(len(paths), description.embedding_dim)
        embeddings = client.embed_files(paths, args.skip_bad_images, progress=True)
        _list_skipped(embeddings.skipped)
        if not embeddings.files:
            raise BadInputError(
                f"none of the {len(paths)} files could be embedded; nothing written"
            )
        file.write(embeddings, description.name)
    skipped = f", {len(embeddings.skipped)} skipped" if embeddings.skipped else ""
    # Names of files needn't be text.
    output = os.fsencode(args.output).decode(errors="backslashreplace")
    print(
        f"{output}: {len(embeddings.files)} embeddings of dimension "
        f"{description.embedding_dim}{skipped}; model {description.name} version "
        f"{description.version}, embedding space {embeddings.space}"
    )


def _list_skipped(skipped):
    if skipped:
        print(f"skipped {len(skipped)}:", file=sys.stderr)
    for error in skipped:
        print(f"  {error}", file=sys.stderr)


def _status(args):
    with from_arguments(args) as client:
        versions = client.versions()
        print(f"model      {args.model} at {args.server}")
        for each in versions:
            print(f"version    {each.version} {each.state} {each.error}".rstrip())
        description = client.describe()
        height, width = description.image_size
        space = client.embed_encoded([_PIXEL], ["a test picture"]).space
    print(f"answers    version {description.version}")
    print(f"embedding  {description.embedding_dim} numbers, space {space}")
    print(f"images     {height}x{width} (height x width); encoded pictures of any size")

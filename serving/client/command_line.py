"""The command line of `python -m serving.client`."""

import argparse
from collections.abc import Sequence

from serving import command
from serving.client.flags import add_camera_flags, add_server_flags


@command.naming_flags()
def main(argv: Sequence[str] | None = None) -> None:
    """Runs one command.

    Args:
        argv: of the command line; those of this process by default.

    Raises:
        ServingError: for `serving.command.run`.
    """
    args = _parser().parse_args(argv)
    # gRPC and NumPy are loaded after the flags are read: --help needs neither.
    from serving.client import commands

    {"embed": commands.embed, "status": commands.status}[args.command](args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.client",
        description="Embeds picture files, and asks what is served.",
    )
    subcommands = parser.add_subparsers(dest="command", metavar="{embed,status}", required=True)

    embed = subcommands.add_parser("embed", help="embed picture files and write one .npz file")
    embed.add_argument("paths", nargs="+", help="picture files, or folders of them")
    embed.add_argument("--output", required=True, help=".npz file to write")
    embed.add_argument(
        "--skip_bad_images",
        action="store_true",
        help="leave out files that can't be read or decoded, and list them at the end",
    )
    add_camera_flags(
        embed,
        "camera",
        "embed by the statistics of cameras; this is the one of all pictures",
        "no cameras, but those that a table names",
    )
    add_server_flags(embed)

    status = subcommands.add_parser("status", help="print what the server serves")
    add_server_flags(status)
    return parser

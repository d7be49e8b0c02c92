"""The command line of `python -m serving.gallery`."""

import argparse
from collections.abc import Sequence

from serving import command, gallery
from serving.client.flags import add_camera_flags, add_server_flags

_GUESS = "the number after _c in the names, else a guess by the folders, which is told"


@command.naming_flags()
def main(argv: Sequence[str] | None = None) -> None:
    """Runs one command.

    Args:
        argv: of the command line; those of this process by default.

    Raises:
        ServingError: for `serving.command.run`.
    """
    args = _parser().parse_args(argv)
    # faiss, gRPC and NumPy are loaded after the flags are read: --help needs none of them.
    from serving.gallery import commands

    getattr(commands, args.command)(args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.gallery",
        description=gallery.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    subcommands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    build = _command(subcommands, "build", "makes a gallery of pictures")
    add = _command(
        subcommands,
        "add",
        "adds pictures to a gallery",
        "A file that is there already, with the same content and camera, is passed over; with "
        "other content or another camera it is embedded anew and takes the old one's place. With "
        "other content its age, for remove --older_than, begins anew. A file whose content is "
        "there under a name that no longer has it has moved: the row gets the new name and keeps "
        "its age. A copy, of the same camera, of a picture that is there gets no row. A picture "
        "that is there gets the tracklet that is named now; where none is, it keeps its own.",
    )
    for filling in (build, add):
        add_server_flags(filling)
        add_camera_flags(filling, "camera", "the camera of all these pictures", _GUESS)
        filling.add_argument(
            "--skip_bad_images",
            action="store_true",
            help="leave out and report pictures that can't be read or decoded",
        )
        filling.add_argument(
            "paths",
            nargs="+",
            help="pictures, folders with pictures below, and tables (CSV) that name pictures",
        )

    fill = _command(
        subcommands,
        "fill",
        "puts the embeddings of a job (arn_tf.embed) into a gallery",
        "It needs no server, and makes the gallery if there is none. Stopped, the same command "
        "goes on.",
    )
    fill.add_argument("--shards", required=True, metavar="FOLDER", help="output of arn_tf.embed")
    fill.add_argument(
        "--root",
        metavar="FOLDER",
        help="where the pictures are on this machine, if not where the job found them",
    )

    move = _command(
        subcommands,
        "move",
        "moves a gallery's pictures from a folder to Milvus, or back",
        "All are copied, read there again and compared, and only then removed here and erased as "
        "remove does. Stopped, the same command goes on.",
    )
    move.add_argument(
        "--to",
        required=True,
        metavar="FOLDER_OR_ADDRESS",
        help="where to, as --gallery says it; a gallery is made there if there is none",
    )

    remove = _command(
        subcommands,
        "remove",
        "removes pictures from a gallery and erases their traces",
        "All conditions given must hold. A --file or --camera that no picture matches is an error "
        "(exit status 2) and nothing is removed, but not with --older_than, which then has nothing "
        "to do. The gallery's file is then rewritten, which takes twice its size of free disk.",
    )
    remove.add_argument(
        "--file",
        action="append",
        default=[],
        metavar="PATH_OR_GLOB",
        help="of the pictures; a glob, in quotes, if no picture has just this path; * crosses "
        "folders: 'crops/*', '/*_c3*'; repeatable",
    )
    remove.add_argument("--camera", action="append", default=[], help="of the pictures; repeatable")
    remove.add_argument("--older_than", metavar="AGE", help="in the gallery for 30d, 12h or 90m")
    remove.add_argument("--dry_run", action="store_true", help="only list what would be removed")

    check = _command(
        subcommands,
        "check",
        "lists pictures whose files are gone or changed",
        "All files are read. Give add the new places of files that moved first: their rows then "
        "keep their age.",
    )
    check.add_argument(
        "--folder",
        action="append",
        default=[],
        help="only pictures below this folder, as the gallery has its name; repeatable. A folder "
        "of which no file is left, as where a disk isn't mounted, has to be named for --remove",
    )
    check.add_argument(
        "--remove",
        action="store_true",
        help="remove the pictures whose files are gone, and erase their traces as remove does",
    )
    check.add_argument(
        "--dry_run", action="store_true", help="with --remove: only list what would be removed"
    )

    search = _command(
        subcommands,
        "search",
        "finds the pictures nearest to a query",
        "A query that is in the gallery itself is found, too.",
    )
    add_server_flags(search)
    search.add_argument("--top", type=int, default=10, help="length of the list (%(default)s)")
    search.add_argument(
        "--by",
        choices=("picture", "tracklet"),
        default="picture",
        help="what is found: pictures, or tracklets by their mean embeddings, shown as their "
        "nearest pictures; query pictures of one tracklet are then one query (%(default)s)",
    )
    search.add_argument(
        "--camera", action="append", default=[], help="only pictures of this camera; repeatable"
    )
    search.add_argument(
        "--exclude_same_camera",
        action="store_true",
        help="leave out pictures of the query's camera; pictures without a camera stay",
    )
    search.add_argument(
        "--after",
        metavar="TIME",
        help="only pictures taken at this time or later: seconds or a date and time (ISO 8601), as "
        "the table, the paths or the job said when they were added. Pictures without a time are "
        "left out",
    )
    search.add_argument("--before", metavar="TIME", help="only pictures taken earlier, likewise")
    add_camera_flags(search, "query_camera", "the camera of all queries", _GUESS)
    search.add_argument(
        "--approximate",
        action="store_true",
        help="search a graph, built and kept at first use, which is faster for many queries at "
        "once in a large gallery; prints what share it finds. With a filter the search "
        "of a folder is exact all the same; Milvus searches its index under filters, too",
    )
    search.add_argument("--html", metavar="FILE", help="a page with the pictures, too")
    search.add_argument("queries", nargs="+", help="pictures, and folders with pictures below")

    _command(subcommands, "info", "prints what a gallery holds")
    return parser


def _command(
    subcommands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    more: str = "",
) -> argparse.ArgumentParser:
    parser = subcommands.add_parser(
        name, help=text, description=f"{text.capitalize()}. {more}", allow_abbrev=False
    )
    parser.add_argument(
        "--gallery",
        required=True,
        metavar="FOLDER_OR_ADDRESS",
        help="where the gallery is: a folder, or in Milvus, http://HOST:19530/COLLECTION of a "
        "server or NAME.db of Milvus Lite",
    )
    return parser

"""The subcommands of `python -m serving.gallery` by their names."""

from serving.gallery.add_commands import add, build, fill
from serving.gallery.remove_commands import check, move, remove
from serving.gallery.search_commands import info, search

__all__ = ["add", "build", "check", "fill", "info", "move", "remove", "search"]

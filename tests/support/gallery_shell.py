"""The gallery's commands as tests call them, with a client that needs no server."""

import os

from serving.gallery import command_line
from serving.gallery.store import GalleryStore

SERVER = "--server=none:8500"


def run(capsys, *arguments):
    command_line.main(list(map(str, arguments)))
    return capsys.readouterr().out


def build(capsys, *arguments):
    return run(capsys, "build", SERVER, "--gallery=gal", *(arguments or ["crops"]))


def stored(folder="gal"):
    """{file name: camera}"""
    with GalleryStore(str(folder)) as store:
        return {os.path.basename(each.file): each.camera for each in store.pictures()}


def add(capsys, *arguments):
    return run(capsys, "add", SERVER, "--gallery=gal", *arguments)


def remove(capsys, *arguments):
    return run(capsys, "remove", "--gallery=gal", *arguments)

"""Client, gallery and tls_config on systems and disks that lack what Linux's own disks have."""

import subprocess
import sys

import numpy as np
import pytest

from tests.support import other_system
from tests.support.places import ROOT
from tests.support.scripted_server import ScriptedServer, expected, picture

SYSTEMS = (
    "windows",
    "macos",
    "no_fcntl",
    "no_fallocate",
    "no_flock=ENOSYS",
    "no_flock=ENOLCK",
    "no_folder_sync=EINVAL",
    "no_folder_sync=ENOTSUP",
    "no_folder_sync=EBADF",
    "no_folder_sync=EACCES",
)


@pytest.fixture(scope="module")
def server():
    with ScriptedServer() as server:
        yield f"--server={server.address}"


@pytest.fixture
def crops(tmp_path):
    (tmp_path / "crops").mkdir()
    files = [tmp_path / "crops" / f"{number:02d}_c{number % 2}.jpg" for number in range(4)]
    for number, file in enumerate(files):
        file.write_bytes(picture(number))
    return files


def run(system, module, *arguments):
    """Returns (status, stdout, stderr) of a command."""
    line = [sys.executable, other_system.__file__, system, module, *map(str, arguments)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def succeed(*line):
    status, out, err = run(*line)
    assert status == 0, err
    return out


@pytest.mark.parametrize("system", SYSTEMS)
def test_client(system, server, crops, tmp_path):
    if not system.startswith("no_flo"):
        assert "answers    version 1" in succeed(system, "serving.client", "status", server)
    output = tmp_path / "made" / "emb.npz"
    output.parent.mkdir()
    output.write_bytes(b"an older one")
    embed = ("serving.client", "embed", server, f"--output={output}", tmp_path / "crops")
    assert "4 embeddings" in succeed(system, *embed)
    with np.load(output) as found:
        np.testing.assert_allclose(found["embeddings"], expected(crops), rtol=1e-5)
    assert [path.name for path in output.parent.iterdir()] == ["emb.npz"]


@pytest.mark.parametrize("system", SYSTEMS)
def test_gallery(system, server, crops, tmp_path):
    folder = tmp_path / "new" / "gal"
    gallery = f"--gallery={folder}"

    def command(name, *arguments):
        return succeed(system, "serving.gallery", name, gallery, *arguments)

    assert "3 pictures added" in command("build", server, *crops[:3])
    assert [path.name for path in folder.iterdir()] == ["gallery.sqlite"]
    assert "1 pictures added" in command("add", server, *crops)
    if system.startswith("no_f") and system not in ("no_fcntl", "no_fallocate"):
        return
    page = tmp_path / "page.html"
    found = command("search", server, "--top=2", "--approximate", f"--html={page}", crops[3])
    assert "03_c1.jpg" in found and page.exists()
    assert "2 pictures removed" in command("remove", "--camera=1")
    assert "2" in command("info")
    assert [path.name for path in folder.iterdir()] == ["gallery.sqlite"]

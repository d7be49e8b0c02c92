"""One process at a time, on every disk and system, whatever becomes of the one before."""

import contextlib
import errno
import os
import pathlib
import subprocess
import sys
import threading

import pytest

from datasets.files import locks
from tests.support.places import ROOT

NO_LOCKS = ("ENOSYS", "ENOTSUP", "EOPNOTSUPP", "ENOLCK", "EINVAL")
# How a process finds its disk: with locks, without, or on a system that has none.
_DISKS = {
    "locks": "",
    "no locks": "import errno, fcntl\n"
    "def flock(*_): raise OSError(errno.ENOSYS, 'none')\n"
    "fcntl.flock = flock\n",
    "no fcntl": "import sys; sys.modules['fcntl'] = None\n",
}
_HOLDS = """
from datasets.files import locks
with locks.held(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""
_WAITS = """
from datasets.files import locks
with locks.held(sys.argv[1], lambda holder: print("waits for", holder, flush=True)):
    print("held", flush=True)
"""
# Reads a number and writes the next: one that gets in between is lost.
_COUNTS = """
from datasets.files import locks
for _ in range(int(sys.argv[3])):
    with locks.held(sys.argv[1], lambda holder: None):
        with open(sys.argv[2]) as file:
            number = int(file.read())
        with open(sys.argv[2], "w") as file:
            file.write(str(number + 1))
"""


def process(code, *arguments, disk="locks"):
    return subprocess.Popen(
        [sys.executable, "-c", f"import sys\n{_DISKS[disk]}{code}", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


@pytest.fixture(params=_DISKS)
def disk(request, monkeypatch):
    """A kind of disk, for this process too."""
    if request.param == "no locks":
        refuse_locks(monkeypatch, "ENOSYS")
    if request.param == "no fcntl":
        monkeypatch.setattr(locks, "fcntl", None)
    return request.param


def refuse_locks(monkeypatch, name):
    def flock(*_):
        raise OSError(getattr(errno, name), name)

    monkeypatch.setattr(locks.fcntl, "flock", flock)


@pytest.fixture
def lock(tmp_path):
    return str(tmp_path / ".lock")


@contextlib.contextmanager
def holder(lock, disk):
    with process(_HOLDS, lock, disk=disk) as other:
        try:
            assert other.stdout.readline() == "held\n"
            yield other
        finally:
            other.kill()


def test_a_second_process_is_refused_and_told_who_holds_it(lock, disk):
    with holder(lock, disk) as other:
        with pytest.raises(locks.Held, match=f"process {other.pid} on ") as held, locks.held(lock):
            pass
        assert (f"remove {lock}.held" in str(held.value)) == (disk != "locks")
    with locks.held(lock):
        pass


def test_nothing_is_left_behind(lock, disk):
    with locks.held(lock):
        assert os.listdir(os.path.dirname(lock))
    assert os.listdir(os.path.dirname(lock)) == []
    with pytest.raises(KeyError), locks.held(lock):
        raise KeyError
    assert os.listdir(os.path.dirname(lock)) == []


def test_a_second_process_waits_and_says_for_whom(lock, disk):
    with locks.held(lock):
        other = process(_WAITS, lock, disk=disk)
        assert other.stdout.readline().startswith(f"waits for process {os.getpid()} on ")
    assert other.communicate(timeout=60)[0] == "held\n"


def test_who_is_free_soon_is_waited_for_in_silence(lock, disk, monkeypatch):
    monkeypatch.setattr(locks, "_SOON", 60)
    said, free = [], threading.Event()

    def hold():
        with locks.held(lock):
            free.set()

    first = threading.Thread(target=hold)
    first.start()
    free.wait()
    with locks.held(lock, said.append):
        pass
    first.join()
    assert said == []


def test_the_lock_of_a_killed_process_is_free(lock, disk):
    with holder(lock, disk) as other:
        other.kill()
        other.wait()
        assert os.listdir(os.path.dirname(lock))
        with locks.held(lock):
            pass


def test_who_waits_for_a_process_that_is_killed_gets_it(lock, disk):
    with holder(lock, disk) as other, process(_WAITS, lock, disk=disk) as third:
        assert third.stdout.readline().startswith(f"waits for process {other.pid} on ")
        other.kill()
        other.wait()  # One that nobody has waited for counts as alive.
        assert third.communicate(timeout=60)[0] == "held\n"


def test_the_marker_of_a_dead_process_of_another_machine_stays(lock, disk):
    if disk == "locks":
        pytest.skip("it has no marker")
    with holder(lock, disk) as other:
        other.kill()
        other.wait()
    marker = pathlib.Path(f"{lock}.held")
    lines = marker.read_text().splitlines()
    marker.write_text("".join(f"{'host=far' if 'host=' in x else x}\n" for x in lines))
    words = rf"process {other.pid} on far .*if that process is gone, remove {marker}"
    with pytest.raises(locks.Held, match=words), locks.held(lock):
        pass
    marker.unlink()
    with locks.held(lock):
        pass


@pytest.mark.parametrize("name", NO_LOCKS)
def test_every_word_for_a_disk_without_locks(lock, monkeypatch, name):
    refuse_locks(monkeypatch, name)
    with locks.held(lock):
        assert os.listdir(os.path.dirname(lock)) == [".lock.held"]
        with pytest.raises(locks.Held), locks.held(lock):
            pass
    assert os.listdir(os.path.dirname(lock)) == []


@pytest.mark.parametrize("name", ["EACCES", "EPERM", "EIO"])
@pytest.mark.parametrize("waiting", [None, print])
def test_any_other_word_is_an_error_and_nobody_waits(lock, monkeypatch, name, waiting):
    refuse_locks(monkeypatch, name)
    with pytest.raises(OSError, match=name), locks.held(lock, waiting):
        pass


@pytest.mark.parametrize("name", ["EROFS", "EACCES", "ENOSPC", "EDQUOT"])
def test_a_folder_that_takes_no_file(lock, disk, monkeypatch, name):
    opened = os.open

    def refuse(path, flags, *rest, **named):
        if flags & os.O_CREAT and str(path).startswith(os.path.dirname(lock)):
            raise OSError(getattr(errno, name), name, path)
        return opened(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", refuse)
    for waiting in (None, print):
        with pytest.raises(OSError) as caught, locks.held(lock, waiting):
            pass
        assert caught.value.errno == getattr(errno, name)
    assert os.listdir(os.path.dirname(lock)) == []


def test_a_full_disk_that_takes_an_empty_file(lock, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "pwrite", full)
    words = r"^another process$"
    with locks.held(lock), pytest.raises(locks.Held, match=words), locks.held(lock):
        pass


def test_another_users_lock_file_is_a_lock(lock, monkeypatch):
    pathlib.Path(lock).write_text("process 1 on theirs (arn_tf.train)")
    opened = os.open

    def theirs(path, flags, *rest, **named):
        if path == lock and flags & (os.O_RDWR | os.O_CREAT):
            raise PermissionError(errno.EACCES, "theirs", path)
        return opened(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", theirs)
    with locks.held(lock):
        monkeypatch.undo()
        with pytest.raises(locks.Held), locks.held(lock):
            pass


def test_a_folder_that_is_not_there(lock, disk):
    with pytest.raises(FileNotFoundError), locks.held(os.path.join(lock, "no", "lock")):
        pass
    assert os.listdir(os.path.dirname(lock)) == []


def test_a_folder_that_vanishes_meanwhile(lock, disk):
    folder = pathlib.Path(lock).parent / "folder"
    folder.mkdir()
    with locks.held(str(folder / "lock")):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


def test_a_lock_file_removed_by_hand_still_keeps_those_out_who_wait(lock):
    with holder(lock, "locks") as other, process(_WAITS, lock) as third:
        assert third.stdout.readline().startswith("waits for")
        os.remove(lock)
        with locks.held(lock):  # Whoever comes now can't know.
            other.kill()
            other.wait()
            # The one that waits sees that the file is another.
            assert third.poll() is None
        assert third.communicate(timeout=60)[0] == "held\n"


def test_a_file_with_a_content_keeps_it(lock):
    pathlib.Path(lock).write_text("1\n2\n")
    with (
        locks.held(lock, content=True),
        pytest.raises(locks.Held, match=r"^another process$"),
        locks.held(lock, content=True),
    ):
        pass
    assert pathlib.Path(lock).read_text() == "1\n2\n"


def test_threads(lock, disk):
    inside, most = 0, []

    def work():
        nonlocal inside
        for _ in range(5):
            with locks.held(lock, lambda _: None):
                inside += 1
                most.append(inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 20


_FORKS = """
import os
from datasets.files import locks
with locks.held(sys.argv[1]):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        print("held", flush=True)
        sys.stdin.read()
# The child has left the block.
"""
_ORPHAN = """
import os, signal
from datasets.files import locks
with locks.held(sys.argv[1]):
    begun, begin = os.pipe()
    if os.fork():
        os.read(begun, 1)  # Until then the child may not have run at all.
        print("held", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    os.write(begin, b"1")
    sys.stdin.read()
"""


def test_a_forked_child_does_not_free_its_parents_lock(lock, disk):
    with process(_FORKS, lock, disk=disk) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(locks.Held, match=f"process {other.pid} on "), locks.held(lock):
            pass
        other.communicate("")


def test_a_forked_child_does_not_keep_the_lock_of_a_killed_parent(lock, disk):
    with process(_ORPHAN, lock, disk=disk) as other:
        assert other.stdout.readline() == "held\n"
        other.wait()
        with locks.held(lock):
            pass


def test_many_at_once_and_never_two_inside(lock, disk, tmp_path):
    count = tmp_path / "count"
    count.write_text("0")
    others = [process(_COUNTS, lock, count, 12, disk=disk) for _ in range(6)]
    for other in others:
        other.communicate(timeout=120)
        assert other.returncode == 0
    assert count.read_text() == "72"
    assert os.listdir(tmp_path) == ["count"]

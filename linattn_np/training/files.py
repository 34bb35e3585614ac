"""Files that are there whole or not at all, whatever happens, and locks that no crash leaves behind."""

import contextlib
import errno
import os
import re
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: two commands in one folder then do the same work twice, and the later one is kept
    fcntl = None  # type: ignore[assignment]

LEFTOVER = ".unfinished"
LOCK = ".lock"


class atomic_file:
    """``with atomic_file(path) as file``: a binary file that appears at ``path`` whole when the block ends well, or not at all.

    It is on the disk before it has its name, so that not even a power cut leaves half of it. Raises OSError where it cannot be
    written, and where ``path`` is a device or another thing that is no file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __enter__(self) -> IO[bytes]:
        if (kind := kind_of(self.path)) not in ("a file", "nothing"):
            raise OSError(f"{self.path}: expected a file or nothing there, found {kind}")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{self.path.name}.{socket.gethostname()}-{os.getpid()}-"
        descriptor, self.name = tempfile.mkstemp(prefix=prefix, suffix=LEFTOVER, dir=self.path.parent)
        self.file = os.fdopen(descriptor, "wb")
        return self.file

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            try:
                if kind is None:
                    self.file.flush()
                    os.fsync(self.file.fileno())
            finally:
                self.file.close()  # may find the disk full
            if kind is None:
                umask = os.umask(0)
                os.umask(umask)
                os.chmod(self.name, 0o666 & ~umask)  # mkstemp makes files that only their owner may read
                os.replace(self.name, self.path)
                sync_folder(self.path.parent)
        finally:
            if os.path.exists(self.name):
                os.unlink(self.name)


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk, where the system knows how to."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):  # some file systems cannot
            raise
    finally:
        os.close(descriptor)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_file(path) as file:
        file.write(text.encode())


def read_regular(path: Path, most: int) -> bytes | None:
    """The bytes of a file, or None where there is none. Raises ValueError for a pipe, a device, a folder, or more bytes than
    ``most``; it never waits for somebody to write."""
    try:
        found = os.stat(path)  # before it is opened: opening alone can make a device do something
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"it is {kind_of(path)}")
    if found.st_size > most:
        raise ValueError(f"it has {found.st_size} bytes")
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
        return file.read(most)


def kind_of(path: Path, follow: bool = True) -> str:
    """What stands at a path, in words: "a file", "a folder", "nothing", ..

    ``follow``: where a link leads, instead of "a link".
    """
    try:
        mode = os.stat(path, follow_symlinks=follow).st_mode
    except FileNotFoundError:
        return "nothing"
    words = {
        stat.S_IFREG: "a file",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFLNK: "a link",
    }
    return words.get(stat.S_IFMT(mode), "a device")


def set_aside(path: Path) -> Path | None:
    """Rename what is not what it should be, never over another. -> its new name, or None where somebody else was faster"""
    count = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.aside{count}")):
        count += 1
    try:
        path.rename(aside)
    except FileNotFoundError:
        return None
    return aside


def remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files of processes of this machine that are gone, and locks that nobody holds: a killed process could
    not do it itself. Whatever only looks like one stays."""
    host = re.escape(socket.gethostname())
    for file in (*folder.glob(f".*{LEFTOVER}"), *folder.glob(f"*/.*{LEFTOVER}")):
        found = re.fullmatch(rf"\..+\.{host}-([1-9][0-9]{{0,8}})-[^-]+{re.escape(LEFTOVER)}", file.name)
        if found and kind_of(file, follow=False) == "a file" and not is_alive(int(found[1])):
            file.unlink(missing_ok=True)
    for file in folder.glob(f".*{LOCK}"):
        if kind_of(file, follow=False) == "a file":
            with lock(file):
                pass


def is_alive(pid: int) -> bool:
    """Whether a process of this number runs on this machine."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it runs, and it is somebody else's
        return True
    return True


@contextlib.contextmanager
def lock(path: Path) -> Iterator[bool]:
    """``with lock(path) as ours``: whether this block alone holds the lock; somebody else has it otherwise. It never waits.

    The system holds it, so a process that is killed gives it up. The file goes with the lock. What stands in its place and is no
    file is set aside. Where the system has no such locks everybody gets it. Raises OSError where nothing can be written.
    """
    descriptor = None if fcntl is None else _locked(path)
    try:
        yield fcntl is None or descriptor is not None
    finally:
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.unlink(path)  # still locked: whoever opens it now finds that it is gone, and makes another
            os.close(descriptor)


def _locked(path: Path) -> int | None:
    """The open and locked file at ``path``, or None where somebody else holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        if kind_of(path, follow=False) not in ("a file", "nothing"):
            set_aside(path)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):  # a network's disk may have none
                os.close(descriptor)
                raise
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):  # else its holder removed it while we came
                return descriptor
        os.close(descriptor)

"""Files that may be believed: written whole, on the disk before they have their name, and whatever else stands there set
aside.
"""

import io
import json
import os
import random
import socket
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

import linattn_np as la
from linattn_np.optimizers import SGD
from linattn_np.training import archives, files, provenance, runs

RUN = runs.Run(la.RegressionTask(n=3), SGD(0.01), 7, 5, record_every=3)


@pytest.fixture(scope="module")
def history():
    return RUN.train()


@pytest.fixture(scope="module")
def whole(history, tmp_path_factory):
    """The bytes of a good file."""
    folder = runs.RunFolder(tmp_path_factory.mktemp("good"))
    folder.save(RUN, history)
    return (folder.path / RUN.file_name()).read_bytes()


def same(a, b):
    return all(runs.history_arrays(a)[name].tobytes() == array.tobytes() for name, array in runs.history_arrays(b).items())


def arrays_of(history, **changes):
    arrays = {"divergence": np.array(runs.DIVERGENCE), **runs.history_arrays(history), **changes}
    return {name: array for name, array in arrays.items() if array is not None}


def sealed(history, **changes):
    """A file whose checksum holds although its arrays are not those of a run."""
    return lambda file: archives.write_arrays(file, RUN.description(), arrays_of(history, **changes))


def npz(**arrays):
    def write(file):
        with open(file, "wb") as opened:
            np.savez(opened, **arrays)

    return write


def header(shape, data=b"\0" * 56):
    """A .npz with one array that claims a shape."""

    def write(file):
        stream = io.BytesIO()
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("loss.npy", stream.getvalue() + data)

    return write


class Writes:
    """What a pickle could do: write a file where it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def sparse(file):
    with open(file, "wb") as opened:
        opened.truncate(2**41)


BROKEN = {  # what stands in the place of the run, and what is said of it
    "nothing in it": (lambda history: lambda file: file.touch(), "it is not a whole .npz file"),
    "a folder": (lambda history: Path.mkdir, "it is a folder"),
    "a pipe": (lambda history: os.mkfifo, "it is a pipe"),
    "a device": (lambda history: lambda file: file.symlink_to("/dev/zero"), "it is a device"),
    "two terabytes of nothing": (lambda history: sparse, "it has 2199023255552 bytes"),
    "a previous form": (lambda history: npz(description=np.array(RUN.description()), **arrays_of(history)), "it has no checksum"),
    "a header of 7 TiB": (lambda history: header((10**12,)), "of shape \\(1000000000000,\\) does not have the bytes"),
    "a header of negative sizes": (lambda history: header((-1, -7)), "it is not|negative|does not have the bytes"),
    "a header of no shape": (lambda history: header("many"), "shape|header"),
    "no params": (lambda history: sealed(history, params=None), "it has no params"),
    "no divergence": (lambda history: sealed(history, divergence=None), "it has no divergence"),
    "params NaN": (lambda history: sealed(history, params=np.full_like(history.params, np.nan)), "its snapshots cannot be"),
    "params of another shape": (lambda history: sealed(history, params=history.params[0]), "its snapshots, updates cannot be"),
    "short snapshots": (lambda history: sealed(history, snapshots=np.zeros((2, *history.params.shape))),
                        "zip\\(\\) argument 2 is shorter"),
    "short loss": (lambda history: sealed(history, loss=history.loss[:-1]), "its loss cannot be"),
    "loss NaN": (lambda history: sealed(history, loss=np.full(7, np.nan)), "its loss cannot be"),
    "bad seconds": (lambda history: sealed(history, seconds=np.array("soon")), "could not convert string"),
    "negative seconds": (lambda history: sealed(history, seconds=np.array(-1.0)), "its seconds cannot be"),
    "seconds NaN": (lambda history: sealed(history, seconds=np.array(np.nan)), "its seconds cannot be"),
    "a divergence to come": (lambda history: sealed(history, diverged_at=np.array(8)), "its .*diverged_at"),
    "other times": (lambda history: sealed(history, times=np.array([0, 3, 5, 7])), "its times cannot be"),
    "other words": (lambda history: lambda file: archives.write_arrays(file, "a poem", arrays_of(history)),
                    "it describes another run"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_run_is_set_aside_with_its_name(name, tmp_path, capsys, history):
    make, said = BROKEN[name]
    file, folder = tmp_path / RUN.file_name(), runs.RunFolder(tmp_path)
    make(history)(file)
    found = []
    reader = threading.Thread(target=lambda: found.append(folder.load(RUN)), daemon=True)
    reader.start()
    reader.join(20)  # it must not wait for a writer
    assert found == [None] and not os.path.lexists(file)
    aside = tmp_path / f"{file.name}.aside1"
    errors = capsys.readouterr().err
    assert os.path.lexists(aside) and f"{file} is not a finished run (" in errors and f"kept as {aside.name}" in errors
    with pytest.raises(ValueError, match=said):
        raise ValueError(errors)
    folder.save(RUN, history)
    assert same(folder.load(RUN), history)
    make(history)(file.rename(tmp_path / "kept.npz").with_name(file.name))
    assert folder.load(RUN) is None and os.path.lexists(tmp_path / f"{file.name}.aside2")  # never over another


def test_a_pickle_is_never_opened(tmp_path, history):
    made = tmp_path / "made by a pickle"
    file = tmp_path / RUN.file_name()
    npz(description=np.array(RUN.description()), checksum=np.array([Writes(made)]), **arrays_of(history))(file)
    assert runs.RunFolder(tmp_path).load(RUN) is None and not made.exists()
    np.load(tmp_path / f"{file.name}.aside1", allow_pickle=True)["checksum"]
    assert made.exists()  # it would have


def broken_bytes(good, seed):
    """A good file with bytes or headers flipped, cut, swapped or repeated."""
    chance = random.Random(seed)
    data, heads = bytearray(good), [i for i in range(len(good)) if good[i : i + 2] in (b"PK", b"\x93N")]
    at = chance.choice(heads) + chance.randrange(60) if seed % 2 else chance.randrange(len(data))
    at, kind = min(at, len(data) - 9), chance.randrange(7)
    if kind == 0:
        data[at] ^= 1 << chance.randrange(8)
    elif kind == 1:
        del data[at : at + chance.randrange(1, 400)]
    elif kind == 2:
        del data[at:]
    elif kind == 3:
        other = min(chance.choice(heads), len(data) - 9)
        data[at : at + 8], data[other : other + 8] = data[other : other + 8], data[at : at + 8]
    elif kind == 4:
        data[at : at + 8] = bytes(chance.randrange(256) for _ in range(8))
    elif kind == 5:
        data[at:at] = data[max(0, at - chance.randrange(1, 300)) : at]
    else:  # digits of a shape or of a type
        digits = [i for i in range(len(data)) if chr(data[i]).isdigit()]
        data[chance.choice(digits)] = ord(chance.choice("0123456789"))
    return bytes(data)


def test_a_broken_file_is_set_aside_or_its_checksum_holds(tmp_path, whole, history, capsys):
    folder, file, kinds = runs.RunFolder(tmp_path), tmp_path / RUN.file_name(), set()
    for seed in range(400):
        file.write_bytes(broken_bytes(whole, seed))
        found = folder.load(RUN)
        if found is None:
            kinds.add(capsys.readouterr().err.split("(", 1)[1][:12])
            assert not file.exists()
        else:  # what was hit is nowhere read, a date for one
            assert same(found, history)
    assert len(list(tmp_path.glob("*.aside*"))) >= 300 and len(kinds) >= 10


@pytest.mark.numba
def test_a_file_says_what_computed_it(tmp_path, history):
    folder = runs.RunFolder(tmp_path)
    folder.save(RUN, history)
    with np.load(tmp_path / RUN.file_name()) as plain:  # NumPy alone can read it
        made = json.loads(plain["made_by"].item())
        assert plain["params"].tobytes() == history.params.tobytes()
    assert made == provenance.provenance() and made["numpy"] == np.__version__ and made["linattn_np"] == la.__version__
    assert made["backend"] in ("numba", "interpreted", "numpy") and made["blas"] and made["cpu"] and made["numba"]
    again = runs.RunFolder(tmp_path)
    again.load(RUN)
    assert again.made_by == {RUN.file_name(): made}


@pytest.mark.numba
@pytest.mark.parametrize("environment, expected", [({}, "numba"), ({"NUMBA_DISABLE_JIT": "1"}, "interpreted"), (None, "numpy")])
def test_what_was_not_compiled_has_a_name_of_its_own(environment, expected):
    code = (
        "import sys\n" + ("sys.modules['numba'] = None\n" if environment is None else "")
        + "import linattn_np as la; from linattn_np.training import runs\n"
        "print(runs.backend(), runs.Run(la.RegressionTask(n=3), la.optimizers.SGD(0.01), 7, 5, record_every=3).file_name())"
    )  # fmt: skip
    answer = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **(environment or {})}, capture_output=True, text=True
    )
    how, name = answer.stdout.split()
    stem = RUN.file_name("numba").removesuffix(".npz")
    assert how == expected and name == (f"{stem}.npz" if expected == "numba" else f"{stem}-{expected}.npz")


@pytest.mark.numba
def test_a_run_without_numba_is_not_taken_for_one_with(tmp_path, history):
    folder = runs.RunFolder(tmp_path)
    folder.save(RUN, history, {**provenance.provenance(), "backend": "numpy"})
    assert folder.load(RUN) is None and not folder.holds(RUN) and folder.holds(RUN, "numpy")
    assert [file.name for file in tmp_path.iterdir()] == [RUN.file_name("numpy")]


# ---------------------------------------------------------------- writing


def test_an_atomic_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    order = []
    for name in ("fsync", "chmod", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, name=name, real=real: (order.append(name), real(*given))[1])
    files.write_text(tmp_path / "result", "whole")
    assert order == ["fsync", "chmod", "replace", "fsync"] and (tmp_path / "result").read_text() == "whole"


@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_written_file_has_the_rights_of_any_other(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        files.write_text(tmp_path / "result", "whole")
    finally:
        os.umask(before)
    assert (tmp_path / "result").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_not_written_over(tmp_path, kind):
    place = tmp_path / "result"
    os.mkfifo(place) if kind == "pipe" else place.symlink_to("/dev/null")
    with pytest.raises(OSError, match=f"result: expected a file or nothing there, found a {kind}"):
        files.write_text(place, "whole")
    assert os.path.lexists(place) and len(list(tmp_path.iterdir())) == 1


# ---------------------------------------------------------------- leftovers and locks


@pytest.fixture(scope="module")
def dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_unfinished_files_of_the_living_stay(tmp_path, dead):
    with runs.atomic_file(tmp_path / "result") as file:
        file.write(b"more to come")
        files.remove_leftovers(tmp_path)
        assert len(list(tmp_path.iterdir())) == 1
    assert (tmp_path / "result").read_bytes() == b"more to come"
    (tmp_path / "measured").mkdir()
    name = f".result.{socket.gethostname()}-{dead}-abc{files.LEFTOVER}"
    (tmp_path / name).write_bytes(b"half")
    (tmp_path / "measured" / name).write_bytes(b"half")
    runs.RunFolder(tmp_path)
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["measured", "result"]


def test_what_only_looks_unfinished_stays(tmp_path, dead):
    host, odd = socket.gethostname(), files.LEFTOVER
    names = [
        f".result.another-host-{dead}-abc{odd}", f".result.{host}-{10**12}-abc{odd}", f".result.{host}-0-abc{odd}",
        f".a-b-c{odd}",
        f".{odd}", f".result.{host}--1-abc{odd}", f".--{odd}", f".result.{host}-{dead}{odd}",
    ]  # fmt: skip
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / f".folder.{host}-{dead}-abc{odd}").mkdir()
    os.mkfifo(tmp_path / f".pipe.{host}-{dead}-abc{odd}")
    (tmp_path / f".folder{files.LOCK}").mkdir()
    before = sorted(tmp_path.iterdir())
    runs.RunFolder(tmp_path)
    assert sorted(tmp_path.iterdir()) == before


HOLD = (
    "import sys, time; from pathlib import Path; from linattn_np.training.files import lock\nwith lock(Path(sys.argv[1])) as "
    "ours: print(ours, flush=True); time.sleep(60)"
)


def test_a_lock_is_held_once_and_a_killed_process_gives_it_up(tmp_path):
    path = tmp_path / f".run{files.LOCK}"
    process = subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().strip() == "True"
    with files.lock(path) as ours:
        assert not ours
    files.remove_leftovers(tmp_path)
    assert path.exists()  # somebody holds it
    process.kill()
    process.wait()
    process.stdout.close()
    with files.lock(path) as ours, files.lock(path) as twice:
        assert ours and not twice
    assert list(tmp_path.iterdir()) == []
    path.touch()
    files.remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_what_stands_where_a_lock_should_be_is_set_aside(tmp_path, kind):
    path = tmp_path / "lock"
    {"folder": Path.mkdir, "pipe": os.mkfifo, "link": lambda path: path.symlink_to("/dev/full")}[kind](path)
    with files.lock(path) as ours:
        assert ours and path.is_file()
    assert [file.name for file in tmp_path.iterdir()] == ["lock.aside1"]


def test_many_at_once_and_never_two_inside(tmp_path):
    inside, most, entered = [], [], []

    def work():
        for _ in range(60):
            with files.lock(tmp_path / "lock") as ours:
                if ours:
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
                    entered.append(1)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and len(entered) > 50

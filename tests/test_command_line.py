"""The command line: help, one-line errors with status 2, the quick figure, going on where it stopped, Ctrl-C."""

import dataclasses
import functools
import json
import re
import signal
import subprocess
import sys
import time

import matplotlib.image
import pytest

import linattn_np
from linattn_np.__main__ import COMMANDS, main
from linattn_np.experiments import command, record, registry, scale
from linattn_np.progress import Heartbeat

SMALL = dataclasses.replace(scale.QUICK, steps=40, batch=20, seeds=2, record_every=10, test_every=20)


def test_help_names_every_command_and_shows_an_example(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0 and all(name in text for name in COMMANDS)
    for name in COMMANDS:
        with pytest.raises(SystemExit) as stop:
            main([name, "--help"])
        text = " ".join(capsys.readouterr().out.split())
        assert stop.value.code == 0 and "example" in text
        assert re.search(rf"python -m linattn_np {name}\b", text.split("example")[1])


def test_the_bare_command_and_the_top_help_show_an_example(capsys):
    for arguments, status in (([], 2), (["--help"], 0)):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        text = "".join(capsys.readouterr())
        assert stop.value.code == status and "python -m linattn_np reproduce --quick" in text


def test_version_and_a_guess_at_what_was_meant(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0 and capsys.readouterr().out == f"linattn_np {linattn_np.__version__}\n"
    with pytest.raises(SystemExit) as stop:
        main(["reprduce", "--quick"])
    assert stop.value.code == 2 and "did you mean 'reproduce'?" in capsys.readouterr().err


def test_wrong_usage_shows_no_traceback():
    answer = subprocess.run([sys.executable, "-m", "linattn_np", "reproduce", "adam_vs_lion"], capture_output=True, text=True)
    assert answer.returncode == 2 and answer.stderr.startswith("linattn_np reproduce: NAME: expected one of")
    assert len(answer.stderr.splitlines()) == 1


def test_a_folder_that_cannot_be_written_is_one_line_and_status_2(tmp_path):
    (tmp_path / "file").write_text("in the way")
    arguments = ["reproduce", "--quick", "adam_vs_sgd", "--out", str(tmp_path / "file")]
    answer = subprocess.run([sys.executable, "-m", "linattn_np", *arguments], capture_output=True, text=True)
    assert answer.returncode == 2 and "Traceback" not in answer.stderr and str(tmp_path / "file") in answer.stderr
    assert (tmp_path / "file").read_text() == "in the way"


def test_list_says_what_there_is_where_it_stands_and_how_long_it_takes(capsys):
    assert main(["reproduce", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    heads = [line for line in lines if line.startswith("Group ")]
    assert [line.split()[1].rstrip(":") for line in heads] == list(registry.groups())
    assert all(re.search(r"\d+ figures?, about .*; with --quick about ", line) for line in heads)
    named = [line for line in lines if line.split() and line.split()[0] in registry.places()]
    assert [line.split()[0] for line in named] == list(registry.places())
    assert all(re.search(r"\(about \d+ (s|min|minutes?)\b", line) for line in named) and len(named) >= 13
    assert "section 3.2, loss curves" in lines[2] and "Figures 2, 4, 5 and 6" in lines[-1]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["reproduce", "adam"], "NAME: expected one of .* got 'adam'; did you mean 'adam_vs_sgd'?"),
        (["reproduce", "dpeth", "--quick"], "did you mean 'depth'?"),
        (["reproduce", "--workers", "100000"], "--workers: expected at most [0-9]+, 8 for each processor here, got 100000"),
        (["reproduce", "--workers", "0"], "--workers: expected an integer of at least 1"),
        (["sweep", "--workers", "100000"], "--workers: expected at most"),
        (["sweep", "--settings", "seting2"], "--settings: .* did you mean 'setting2'?"),
        (["sweep", "--optimizers", "adam"], "--optimizers: .* did you mean 'Adam'?"),
        (["sweep", "--dask", "foo"], "--dask: expected an address such as tcp://127.0.0.1:8786, got 'foo'"),
        (["sweep", "--dask", "tcp://:port"], "--dask: expected an address"),
    ],
)
def test_a_slip_of_the_pen_is_one_line_that_names_what_was_meant(arguments, words, tmp_path, capsys):
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    errors = capsys.readouterr().err
    assert re.search(words.replace("?", "[?]"), errors) and errors.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"\xff\xfe\x00",
        b"[1]",
        b"",
        b"{}",
        json.dumps({"scale": vars(scale.QUICK), "panels": {"setting1": {}}}).encode(),
        None,
    ],
    ids=("cut", "not text", "a list", "empty", "no scale", "no numbers", "a folder"),
)
def test_what_is_no_figure_is_named_and_kept_aside(tmp_path, text):
    file = tmp_path / "directional_smoothness.json"
    file.mkdir() if text is None else file.write_bytes(text)
    words = record.broken(tmp_path, "directional_smoothness")
    assert words.startswith(f"{file} is not what reproduce writes") and not file.exists()
    assert words.endswith("kept as directional_smoothness.json.aside1, and directional_smoothness is drawn again")
    aside = tmp_path / "directional_smoothness.json.aside1"
    assert aside.is_dir() if text is None else aside.read_bytes() == text
    assert record.read(tmp_path, "directional_smoothness") is None and record.broken(tmp_path, "directional_smoothness") == ""


def test_a_broken_figure_is_drawn_again_with_those_asked_for(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "QUICK", tiny.scale)
    wanted = tiny.measured("generalized_smoothness")["panels"]
    folder = tmp_path / "quick"
    folder.mkdir()
    (folder / "runs").symlink_to(tiny.folder.path)
    (folder / "generalized_smoothness.json").write_text("{")
    assert main(["reproduce", "--quick", "--out", str(tmp_path), "--workers", "1", "learning_rates"]) == 0
    words = capsys.readouterr().out
    assert "generalized_smoothness.json.aside1, and generalized_smoothness is drawn again" in words.splitlines()[0]
    assert "[1 of 2] Learning" in words and "[2 of 2] Generalized" in words
    assert record.read(folder, "generalized_smoothness")["panels"] == record.rounded(wanted)


def test_a_quick_look_ends_with_what_to_open_first(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "QUICK", dataclasses.replace(tiny.scale, name="quick"))
    tiny.measured("generalized_smoothness")
    (tmp_path / "quick").mkdir()
    (tmp_path / "quick" / "runs").symlink_to(tiny.folder.path)
    monkeypatch.setattr(command, "Heartbeat", functools.partial(Heartbeat, every=0.01))  # it comes every 15 seconds
    arguments = ["reproduce", "--quick", "--out", str(tmp_path), "--workers", "1", "generalized_smoothness"]
    assert main(arguments) == 0
    said = capsys.readouterr().out.splitlines()
    beats = [line for line in said if re.match(r"\[1 of 1\] .* gone, about .* left", line)]
    assert beats
    lines = [line for line in said if line not in beats]
    assert lines[0] == "1 figure, quick: about 5 s on two quiet cores"
    assert (
        lines[2].startswith("[1 of 1] Generalized") and "(quick: the first 300 iterations of Adam, batch 29, 2 seeds)" in lines[2]
    )
    assert f"Open first: {tmp_path / 'quick' / 'generalized_smoothness'}.png" in "\n".join(lines[-3:])
    whole = command.spoken(sum(registry.experiment(name).SECONDS["paper"] for name in registry.groups()["paper"]))
    assert (
        re.search(r"\d+ (minutes|hour)", whole)
        and f"come with: python -m linattn_np reproduce ({whole})" in lines[-2]
        and "0 agrees" not in "".join(lines)
    )
    (tmp_path / "scorecard.md").write_text("the verdicts")
    assert main(arguments) == 0
    assert f"at the paper's scale are in {tmp_path / 'scorecard.md'}" in capsys.readouterr().out


def test_at_the_papers_scale_it_ends_with_the_verdicts(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "PAPER", dataclasses.replace(tiny.scale, name="paper"))
    tiny.measured("generalized_smoothness")
    (tmp_path / "runs").symlink_to(tiny.folder.path)
    assert main(["reproduce", "--out", str(tmp_path), "--workers", "1", "generalized_smoothness"]) == 0
    out = capsys.readouterr().out
    assert re.search(rf"{len(registry.claims())} claims: [0-9]+ agrees, .* written: {tmp_path}/scorecard.json", out)
    assert "quick" not in out and "Open first" not in out and "(the first 300 iterations of Adam" in out
    verdicts = json.loads((tmp_path / "scorecard.json").read_text())["verdicts"]
    judged = [claim for claim in registry.claims() if claim.figure == "generalized_smoothness"]
    assert sum(number for verdict, number in verdicts.items() if verdict != "not tested") == len(judged) == 7


def test_reproduce_draws_keeps_and_reuses(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "QUICK", SMALL)
    assert main(["reproduce", "adam_vs_sgd", "--quick", "--out", str(tmp_path)]) == 0
    words = capsys.readouterr().out
    folder = tmp_path / "quick"
    record = json.loads((folder / "adam_vs_sgd.json").read_text())
    assert record["scale"]["steps"] == 40 and record["seeds"] == [0, 1] and record["alt"] and record["versions"]["numpy"]
    curve = record["panels"]["setting1"]["Adam"]["test"]
    assert curve["iterations"] == [0, 20, 40] and all(
        a <= b for a, b in zip(curve["lower_quartile"], curve["median"], strict=True)
    )
    assert f"{record['panels']['setting1']['Adam']['robust']['median'][-1]:.2e} for Adam" in words
    assert matplotlib.image.imread(folder / "adam_vs_sgd.png").shape[1] > 1000
    runs = {file: file.stat().st_mtime_ns for file in (folder / "runs").glob("*.npz")}
    assert len(runs) == 12
    next(iter(runs)).unlink()
    assert main(["reproduce", "adam_vs_sgd", "--quick", "--out", str(tmp_path)]) == 0
    again = {file: file.stat().st_mtime_ns for file in (folder / "runs").glob("*.npz")}
    assert runs.keys() == again.keys() and sum(runs[file] != again[file] for file in runs) == 1
    assert json.loads((folder / "adam_vs_sgd.json").read_text())["panels"] == record["panels"]


def test_reproduce_leaves_a_scorecard(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "QUICK", tiny.scale)
    wanted = tiny.measured("generalized_smoothness")["panels"]["setting1"]["judged"]["median"]
    (tmp_path / "quick").mkdir()
    (tmp_path / "quick" / "runs").symlink_to(tiny.folder.path)
    assert main(["reproduce", "--quick", "--out", str(tmp_path), "generalized_smoothness"]) == 0
    rows = json.loads((tmp_path / "quick" / "scorecard.json").read_text())["rows"]
    assert len(rows) == len(registry.claims()) and {row["verdict"] for row in rows} == {"not tested"}
    row = next(row for row in rows if row["id"] == "generalized_smoothness.setting1")
    assert row["ours"]["median"] == pytest.approx(wanted, rel=1e-5) and "tiny scale only" in row["why"]


def test_ctrl_c_keeps_what_was_finished(tmp_path):
    arguments = [sys.executable, "-m", "linattn_np", "reproduce", "adam_vs_sgd", "--quick", "--out", str(tmp_path)]

    def listen():  # whoever runs the tests in the background may have taught them to ignore Ctrl-C
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=listen)
    runs = tmp_path / "quick" / "runs"
    deadline = time.monotonic() + 120
    while len(list(runs.glob("*.npz"))) < 2 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in errors and "Traceback" not in errors
    kept = list(runs.iterdir())
    assert len(kept) >= 2 and all(file.suffix == ".npz" and not file.name.startswith(".") for file in kept)
    assert not (tmp_path / "quick" / "adam_vs_sgd.png").exists()

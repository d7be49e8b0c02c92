"""What is said of flags of the studies before anything is measured."""

import sys

import pytest

from studies import adaptation, calibration, model_choice, tracklets
from tests.support.user_errors import refused

OWN = ("--query=query", "--gallery=gallery")


def said(study, arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [study.__name__, *arguments])
    with pytest.raises(SystemExit) as end:
        study.main()
    assert end.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("value", ["0", "-1", "two", "1e3", ""])
@pytest.mark.parametrize(
    ("study", "flag"),
    [
        (adaptation, "--rounds"),
        (adaptation, "--seeds"),
        (calibration, "--draws"),
        (tracklets, "--rounds"),
        (tracklets, "--steps"),
    ],
)
def test_numbers_from_1(study, flag, value, monkeypatch, capsys, tmp_path):
    line = ["run", *OWN, f"--output={tmp_path}", f"{flag}={value}"]
    told = said(study, line, monkeypatch, capsys)
    assert f"argument {flag}: {value!r} is no whole number from 1" in told


@pytest.mark.parametrize(
    ("study", "flag"),
    [
        (adaptation, "--output"),
        (calibration, "--output"),
        (tracklets, "--output"),
        (model_choice, "--embeddings"),
    ],
)
def test_folders_that_cannot_be(study, flag, monkeypatch, capsys, tmp_path):
    file = tmp_path / "file"
    file.touch()
    own = () if study is model_choice else OWN
    told = said(study, ["run", *own, f"{flag}={file}"], monkeypatch, capsys)
    assert f"argument {flag}: '{file}': File exists" in told


def test_figures_that_are_none(monkeypatch, capsys, tmp_path):
    told = said(model_choice, ["run", f"--output={tmp_path}"], monkeypatch, capsys)
    assert f"argument --output: '{tmp_path}' can't be written" in told
    other = tmp_path / "other.json"
    monkeypatch.setattr(sys, "argv", ["model_choice", "run", f"--output={other}"])
    for text in ("# notes", "[1]"):
        other.write_text(text)
        with refused(f"^--output={other}: not figures of this study"):
            model_choice.main()
        assert other.read_text() == text


def test_a_row_that_is_named_twice_is_measured_once(monkeypatch, capsys, tmp_path):
    measured = []

    def figures(_run, row, seed, _options):
        measured.append((row, seed))
        return {"run": "run", "row": row, "seed": seed, "cpu_seconds": [], "after_rounds": []} | {
            "mean_ap": [0.5, 1.0],
            "rank-1": [0.0, 1.0],
        }

    settings = adaptation.StrongSettings(source="none", target="crops", model_dir=str(tmp_path))
    monkeypatch.setattr(adaptation.recipes, "settings_of", lambda _: settings)
    monkeypatch.setattr(adaptation, "measured", figures)
    (tmp_path / adaptation.ADAPTED).touch()
    line = [str(tmp_path), *OWN, f"--output={tmp_path}", "--seeds=2", "--rows", "both", "both"]
    monkeypatch.setattr(sys, "argv", ["adaptation", *line])
    adaptation.main()
    assert measured == [(adaptation.START, 0), ("both", 0), ("both", 1)]
    assert "| both | 2 | 50.0 ± 0.0 | 75.0 ± 0.0 | +0.0" in capsys.readouterr().out

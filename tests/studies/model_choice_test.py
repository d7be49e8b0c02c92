"""Runs that the study of indicators leaves out."""

import pathlib

import pytest

from arn_tf.strong.settings import StrongSettings
from studies import model_choice


@pytest.mark.parametrize("source, count", [("none", 0), ("market,toy_market", 2)])
def test_a_run_without_one_source_is_left_out(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture, source: str, count: int
) -> None:
    for name in ("initial", "adapted", "round_1", "model"):
        (tmp_path / f"{name}.keras").touch()
    StrongSettings(source=source).save(str(tmp_path / "settings.json"))
    assert model_choice.measure_run(str(tmp_path), None, {}, None) is None
    printed = capsys.readouterr().out
    assert f"{count} sources, where the indicators read one, left out" in printed

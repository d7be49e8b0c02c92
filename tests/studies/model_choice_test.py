"""The study of indicators: runs that it leaves out, and its table by hand."""

import pathlib

import pytest

from arn_tf.strong.settings import StrongSettings
from studies import model_choice, model_choice_table


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


def test_the_table_by_hand() -> None:
    """Silhouettes take the second run's last two stages for each other; the lower risk is right."""
    silhouettes = (0.1, 0.2, 0.3), (0.1, 0.3, 0.2)
    runs = [
        {
            "direction": "a to b",
            "choice": choice,
            "stages": [
                dict.fromkeys(model_choice_table.INDICATORS, float("nan"))
                | {"j silhouette": each, "f DEV risk": risk, model_choice_table.TRUE: true}
                for each, risk, true in zip(of_run, (0.9, 0.5, 0.4), (0.5, 0.6, 0.7), strict=True)
            ],
        }
        for of_run, choice in zip(silhouettes, (2, 0), strict=True)
    ]
    table = model_choice_table.report(runs)
    assert table.startswith("6 checkpoints of 2 runs")
    rows = {line.split(" | ")[0]: line.split(" | ")[1:] for line in table.splitlines()[2:]}
    # Correlations of 1 and 1/2 within the runs; all six together have 12 of 16.
    assert rows["| j silhouette"] == ["+0.75", "+0.75", "5.00", "10.00 |"]
    assert rows["| f DEV risk"] == ["+1.00", "+1.00", "0.00", "0.00 |"]
    assert rows["| **the rule**"] == ["", "", "10.00", "20.00 |"]
    assert rows["| always the last"][-2:] == ["0.00", "0.00 |"]
    assert rows["| always the first"][-2:] == ["20.00", "20.00 |"]

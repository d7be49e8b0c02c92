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
    """Silhouettes order the first of two runs rightly, and the second the other way."""
    first = zip((0.1, 0.2, 0.3), (0.5, 0.6, 0.7), strict=True)
    second = zip((0.3, 0.2, 0.1), (0.5, 0.6, 0.7), strict=True)
    runs = [
        {
            "direction": "a to b",
            "choice": choice,
            "stages": [
                dict.fromkeys(model_choice_table.INDICATORS, float("nan"))
                | {"j silhouette": indicator, model_choice_table.TRUE: true}
                for indicator, true in stages
            ],
        }
        for stages, choice in ((first, 2), (second, 1))
    ]
    table = model_choice_table.report(runs)
    assert table.startswith("6 checkpoints of 2 runs")
    rows = {line.split(" | ")[0]: line.split(" | ")[1:] for line in table.splitlines()[2:]}
    # The second run's best by silhouette is its first stage, 20 points below its last.
    assert rows["| j silhouette"] == ["+0.00", "+0.00", "10.00", "20.00 |"]
    assert rows["| **the rule**"] == ["", "", "5.00", "10.00 |"]
    assert rows["| always the last"][-2:] == ["0.00", "0.00 |"]
    assert rows["| always the first"][-2:] == ["20.00", "20.00 |"]

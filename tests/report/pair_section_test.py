"""The page's section on pairs."""

import dataclasses

import numpy as np

from arn_tf.ranking import pair_scores
from arn_tf.report import page, pair_section
from tests.support import small_kept


def found(same=40, other=2000, names=("<b>", "yard")):
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0.6, 0.2, same), rng.normal(0, 0.2, other)])
    cameras = [names] * len(values)
    return pair_scores.score(values, np.arange(len(values)) < same, cameras, 0.01, ["a note"])


def test_the_curve_is_the_highest_at_each_rate():
    scores = found().scores
    rates, accepted = pair_section.curve(scores)
    assert (rates[0], rates[-1]) == (1 / 2000, 1)
    for rate, share in zip(rates, accepted, strict=True):
        below = scores.false_accepts <= rate * (1 + 1e-9)
        assert share == scores.true_accepts[below].max()


def test_the_section_has_the_thresholds_and_the_cameras():
    pairs = found()
    text = pair_section.pairs(pairs)
    operation = pairs.operations[0.01]
    assert f"{operation.threshold:.4f} <small>[{operation.interval[0]:.4f}" in text
    assert "<bdi>&lt;b&gt; and yard</bdi>" in text and "A note." in text
    assert 'class="line kept"' in text and "too few pairs" not in text


def test_too_few_pairs_are_said():
    text = pair_section.pairs(found(other=150))
    assert "A false-accept rate of 0.001 needs 1,000 pairs of different persons" in text
    assert text.count("too few pairs") == 1
    # Two pairs are enough for a page.
    text = pair_section.pairs(found(1, 1))
    assert text.count("too few pairs") == 2 and "Left out: 1 pairs of cameras" in text


def test_it_is_on_the_page():
    evaluation = small_kept.evaluation(small_kept.kept())
    with_pairs = dataclasses.replace(evaluation, pairs=found())
    assert "Pairs of pictures" in page.page(small_kept.about(), with_pairs)
    assert "Pairs of pictures" not in page.page(small_kept.about(), evaluation)


def test_of_many_pairs_of_cameras_those_with_most_are_shown(monkeypatch):
    monkeypatch.setattr(pair_section, "_MOST_CAMERAS", 1)
    few, many = found(10, 100), found(10, 300, ("gate", "yard"))
    both = dataclasses.replace(few, cameras=[*few.cameras, *many.cameras])
    text = pair_section.pairs(both)
    assert "gate and yard" in text and "&lt;b&gt; and yard" not in text
    assert "Here are the 1 of 2 with most pairs." in text

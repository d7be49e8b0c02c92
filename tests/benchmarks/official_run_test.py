"""What a run of official size does, counted by hand."""

from arn_tf.strong import row_pictures
from arn_tf.strong.settings import StrongSettings
from benchmarks import official_run


def test_what_a_run_does():
    found = official_run.counts(StrongSettings())
    assert found == {
        "steps on the source": 60 * 404,  # 12,936 / 32 = 404.25
        "steps of self-training": 12 * 259,  # 16,522 / 32 / 2 = 258.2
        # Fourteen stages, and in each the target and, for its statistics as a whole, 256 again.
        "pictures embedded by camera": 14 * (16_522 + 256),
        # Layers of the target and of eight cameras.
        "pictures through E_I alone": 14 * (256 + 8 * 1024),
        "clusterings of the target": 12,
        "choices of a stage": 1,
    }


def test_as_many_pictures_make_statistics_as_in_a_run():
    assert official_run.STATISTICS_OF == row_pictures.MOST_PICTURES
    assert official_run.STATISTICS_OF_TARGET == row_pictures.MOST_OF_TARGET


def test_settings_count():
    settings = StrongSettings(
        epochs=2, batch_size=64, self_training_rounds=1, self_training_steps=7
    )
    found = official_run.counts(settings)
    assert found["steps on the source"] == 2 * 202
    assert found["steps of self-training"] == 7
    assert found["pictures embedded by camera"] == 2 * (16_522 + 256)
    # Of three rounds there is a mean, of two there is none.
    for rounds, stages in ((2, 3), (3, 5)):
        found = official_run.counts(StrongSettings(self_training_rounds=rounds))
        assert found["pictures embedded by camera"] == stages * (16_522 + 256)

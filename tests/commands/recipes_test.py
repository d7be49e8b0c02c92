"""Two recipes, one set of flags: defaults, flags of the other recipe, and runs' folders."""

import dataclasses
import json

import pytest
from absl import flags
from absl.testing import flagsaver

from arn_tf import recipes
from arn_tf.errors import UserError
from arn_tf.paper.settings import Settings
from arn_tf.run import command_line
from arn_tf.run.folder import RunDir
from arn_tf.strong.settings import StrongSettings

SETTINGS = [recipe.settings for recipe in recipes.RECIPES.values()]
NAMES = {field.name for each in SETTINGS for field in dataclasses.fields(each)}
FOLDERS = ("data_dir", "manual_dir", "cache_dir")


def fields_of(settings):
    return {field.name: field for field in dataclasses.fields(settings)}


@pytest.fixture
def parse():
    """Parses a command line after defining the flags anew."""

    def forget():
        found = [name for name in NAMES if name in flags.FLAGS]
        for name in found:
            delattr(flags.FLAGS, name)
        return bool(found)

    def call(*arguments, define=recipes.define_flags, result=recipes.from_flags, **defaults):
        forget()
        define(**defaults)
        flags.FLAGS(["arn_tf.train", *arguments])
        return result()

    with flagsaver.flagsaver():
        defined_elsewhere = forget()
        yield call
        forget()
        if defined_elsewhere:
            recipes.define_flags()


# Settings of the strong recipe.


def test_defaults_are_those_measured():
    settings = StrongSettings()
    settings.check()
    assert settings.image_size == (128, 64)
    assert (settings.last_stride, settings.batch_size, settings.images_per_identity) == (1, 32, 4)
    assert (settings.label_smoothing, settings.triplet_margin) == (0.1, 0.3)
    assert (settings.adam_learning_rate, settings.weight_decay) == (3.5e-4, 5e-4)
    assert (settings.self_training_rounds, settings.self_training_steps) == (-1, 0)
    assert [settings.rounds_on(images) for images in (64, 9999)] == [12, 12]
    # Half a pass, 40 at least.
    assert [settings.steps_of_round(images) for images in (64, 2560, 2561)] == [40, 40, 41]
    alone = StrongSettings(source="none")
    assert [alone.steps_of_round(images) for images in (64, 2560, 2561)] == [40, 40, 41]
    # 40 steps show 64 pictures 20 times, and 389 3.3 times: three rounds, and at most ten passes.
    found = [alone.rounds_on(images) for images in (64, 389, 511, 512, 1535, 1536, 9999)]
    assert found == [3, 3, 3, 4, 11, 12, 12]
    for source in ("none", "market"):
        given = StrongSettings(source=source, self_training_rounds=2, self_training_steps=7)
        assert (given.rounds_on(64), given.steps_of_round(9999)) == (2, 7)
    assert settings.self_training_learning_rate == 3.5e-4


@pytest.mark.parametrize("field", dataclasses.fields(StrongSettings), ids=lambda field: field.name)
def test_every_field_is_explained(field):
    assert field.metadata["help"]
    assert field.type is type(field.default)
    if field.metadata["choices"]:
        assert field.default in field.metadata["choices"]


def test_a_field_of_both_has_one_type():
    for name in fields_of(Settings).keys() & fields_of(StrongSettings).keys():
        left, right = (fields_of(each)[name] for each in SETTINGS)
        assert left.type is right.type, name
        assert left.metadata["changes_result"] == right.metadata["changes_result"], name


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"last_stride": 3}, "--last_stride=3: choose one of 1, 2"),
        ({"last_stride": 0}, "--last_stride=0: choose one of 1, 2"),
        ({"label_smoothing": 1.0}, "--label_smoothing=1.0: must be less than 1"),
        ({"cluster_eps": 1.0}, "--cluster_eps=1.0: must be less than 1"),
        ({"epochs": 0}, "--epochs=0: must be more than 0"),
        ({"self_training_steps": -1}, "--self_training_steps=-1: must be a number"),
        ({"self_training_rounds": -2}, "--self_training_rounds=-2: must be a number of -1 or more"),
        ({"adam_learning_rate": float("nan")}, "--adam_learning_rate=nan: must be a number"),
        ({"triplet_margin": float("inf")}, "--triplet_margin=inf: must be a number"),
        ({"batch_size": 30}, "--batch_size=30 is not a multiple of --images_per_identity=4"),
        ({"input_size": "128"}, "--input_size=128: give HEIGHTxWIDTH"),
        ({"target": "toy_market"}, "--source and --target are both toy_market"),
        (
            {"source": "pku"},
            "--source=pku: no such folder or table; data sets that have a name are market, duke",
        ),
        ({"preset": "paper"}, "--preset=paper: choose one of strong"),
    ],
)
def test_what_cannot_be(values, message):
    with pytest.raises(UserError) as error:
        StrongSettings(**values).check()
    assert message in command_line.message(error.value)


@pytest.mark.parametrize(
    "values",
    [
        {"last_stride": 2, "input_size": "256x128"},
        {"self_training_rounds": 0},
        {"label_smoothing": 0.0, "triplet_margin": 0.0, "weight_decay": 0.0, "seed": 0},
    ],
)
def test_what_can_be(values):
    StrongSettings(**values).check()


# Flags.


def test_paper_is_the_default(parse):
    assert parse() == Settings()
    assert parse("--preset=paper") == Settings()


def test_strong_has_its_own_defaults(parse):
    assert parse("--preset=strong") == StrongSettings()
    assert parse("--preset=strong", "--epochs=7", "--last_stride=2") == StrongSettings(
        epochs=7, last_stride=2
    )


def test_a_flag_given_with_the_other_presets_default_counts(parse):
    assert parse("--preset=strong", "--input_size=224x224").input_size == "224x224"
    assert parse("--input_size=128x64").input_size == "128x64"


PAPER_ONLY = sorted(fields_of(Settings).keys() - fields_of(StrongSettings).keys())
STRONG_ONLY = sorted(fields_of(StrongSettings).keys() - fields_of(Settings).keys())


def test_which_flags_belong_to_one():
    assert {"margin", "dropout", "feature_cache", "difference_weight"} <= set(PAPER_ONLY)
    assert {"last_stride", "cluster_eps", "self_training_rounds"} <= set(STRONG_ONLY)


@pytest.mark.parametrize(
    ("preset", "name"),
    [("strong", name) for name in PAPER_ONLY] + [("paper", name) for name in STRONG_ONLY],
)
def test_a_flag_of_the_other_preset_is_refused(parse, preset, name):
    """Even with its default: who gives it believes that it does something."""
    owner = Settings if preset == "strong" else StrongSettings
    value = fields_of(owner)[name].default
    with pytest.raises(UserError, match=f"--{name} has no meaning with --preset={preset}"):
        parse(f"--preset={preset}", f"--{name}={value}")


def test_help_says_whose_a_flag_is(parse):
    parse()
    for name in PAPER_ONLY:
        assert flags.FLAGS[name].help.endswith("[only --preset=paper]")
    for name in STRONG_ONLY:
        assert flags.FLAGS[name].help.endswith("[only --preset=strong]")
    assert flags.FLAGS["input_size"].help.endswith("[--preset=strong: 128x64]")
    assert flags.FLAGS["epochs"].help.endswith("[--preset=strong: 60]")
    assert "preset" not in flags.FLAGS["seed"].help
    assert "one of 1, 2" in flags.FLAGS["last_stride"].help


def test_paths_among_several_sources_are_of_any_folder(parse, tmp_path, monkeypatch):
    for name in ("one", "a,b"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    found = parse("--preset=strong", "--source=one,market,a,b")
    assert found.source == f"{tmp_path}/one,market,{tmp_path}/a,b"
    assert found.sources == (f"{tmp_path}/one", "market", f"{tmp_path}/a,b")


def test_no_source(parse, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = parse("--preset=strong", "--source=none", "--label_smoothing=0.2", "--batch_size=30")
    assert (found.source, found.sources) == ("none", ())
    (tmp_path / "none").mkdir()
    assert parse("--preset=strong", "--source=none").sources == ()
    assert parse("--preset=strong", "--source=./none").sources == (f"{tmp_path}/none",)


@pytest.mark.parametrize("name", ["epochs", "images_per_identity", "adam_learning_rate"])
def test_what_is_about_the_source_has_no_meaning_without_one(parse, name):
    """Even with its default."""
    given = f"--{name}={fields_of(StrongSettings)[name].default}"
    parse("--preset=strong", given)
    with pytest.raises(UserError, match=f"--{name} has no meaning with --source=none"):
        parse("--preset=strong", "--source=none", given)


def test_an_unknown_preset(parse):
    with pytest.raises(flags.IllegalFlagValueError, match=r"paper\|strong"):
        parse("--preset=best")


def test_flags_are_checked(parse):
    with pytest.raises(UserError, match=r"^cluster_eps=1\.5"):
        parse("--preset=strong", "--cluster_eps=1.5")


# Files.


@pytest.mark.parametrize("settings", [Settings(seed=3), StrongSettings(seed=3, last_stride=2)])
def test_save_and_load(tmp_path, settings):
    path = tmp_path / "settings.json"
    settings.save(path)
    assert recipes.settings_of(RunDir(str(tmp_path))) == settings
    assert json.loads(path.read_text())["preset"] == settings.preset


def test_a_folder_from_before_there_were_presets_is_the_papers(tmp_path):
    path = tmp_path / "settings.json"
    Settings(seed=3).save(path)
    values = json.loads(path.read_text())
    del values["preset"]
    path.write_text(json.dumps(values))
    assert recipes.settings_of(RunDir(str(tmp_path))) == Settings(seed=3)


@pytest.mark.parametrize(
    "content", ['{"preset": "best"}', '{"preset": "strong", "margin": 1.0}', '{"preset": [1]}']
)
def test_load_of_what_is_no_run(tmp_path, content):
    path = tmp_path / "settings.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"settings\.json: not the settings of a run"):
        recipes.settings_of(RunDir(str(tmp_path)))


def test_settings_of_earlier_versions(tmp_path, capsys):
    values = dataclasses.asdict(StrongSettings(seed=3))
    for changes, words in (
        ({"arn_losses": False, "keep_best": "unlabelled"}, ""),
        ({"arn_losses": True}, "made with --arn_losses=True, now python -m studies.joint_training"),
        ({"keep_best": "labelled"}, "--keep_best=labelled, now python -m studies.labelled_choice"),
    ):
        (tmp_path / "settings.json").write_text(json.dumps(values | changes))
        assert recipes.settings_of(RunDir(str(tmp_path))) == StrongSettings(seed=3)
        printed = capsys.readouterr().out
        assert words in printed if words else not printed


@pytest.mark.parametrize("pair", [(Settings, StrongSettings), (StrongSettings, Settings)])
def test_the_folder_of_a_run_of_the_other_preset(tmp_path, pair):
    there, here = (each(model_dir=str(tmp_path)) for each in pair)
    run = RunDir(str(tmp_path))
    with run.claimed_for(there):
        (tmp_path / "initial.keras").touch()
    text = f"holds a run with other settings:\n  preset: {there.preset} there, {here.preset} here"
    with pytest.raises(UserError, match=text), run.claimed_for(here):
        pass
    assert recipes.settings_of(run) == there


def test_an_unfinished_run_with_an_earlier_setting_is_not_gone_on_with():
    there = dataclasses.asdict(StrongSettings()) | {"arn_losses": True, "keep_best": "unlabelled"}
    expected = ["arn_losses: True there, no setting any more"]
    assert StrongSettings().differences(there) == expected
    there["arn_losses"] = False
    assert StrongSettings().differences(there) == []


def test_differences_of_the_strong_recipe():
    settings = StrongSettings()
    there = dataclasses.asdict(settings)
    assert StrongSettings(model_dir="x", replicas=2).differences(there) == []
    assert StrongSettings(triplet_margin=0.5, seed=1).differences(there) == [
        "seed: 0 there, 1 here",
        "triplet_margin: 0.3 there, 0.5 here",
    ]


@pytest.mark.parametrize("settings", [Settings(seed=3), StrongSettings(seed=3)])
def test_moved_folders(parse, settings):
    def moved(*arguments):
        return parse(
            *arguments,
            define=recipes.define_moved_folders,
            result=lambda: recipes.with_moved_folders(settings),
        )

    assert moved() == settings
    assert moved("--data_dir=there", "--manual_dir=archives") == dataclasses.replace(
        settings, data_dir="there", manual_dir="archives"
    )
    # Only the paper's recipe has a cache.
    assert getattr(moved("--cache_dir=fast"), "cache_dir", None) in (None, "fast")

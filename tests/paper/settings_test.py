"""Settings: the paper's values, what can't be, files and flags."""

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


def changed(**values):
    return dataclasses.replace(Settings(), **values)


def test_defaults_are_the_papers():
    settings = Settings()
    settings.check()
    assert settings.backbone == "ResNet50"
    assert settings.backbone_weights == "imagenet"
    assert settings.image_size == (224, 224)
    assert settings.shared_encoder == "convolutional"
    assert settings.private_encoders
    assert settings.embedding_dim == 2048
    assert settings.loss_weights == {
        "class": 1.0,
        "contrastive": 0.01,
        "reconstruction": 2.0,
        "difference": 1500.0,
    }
    assert settings.learning_rates() == pytest.approx(
        {
            "encoder_i": 1e-7,
            "encoder_c": 1e-3,
            "encoder_s": 1e-3,
            "encoder_t": 1e-3,
            "decoder_c": 1e-3,
            "classifier_s": 2e-3,
        },
        rel=1e-12,
    )


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().epochs = 3


@pytest.mark.parametrize("field", dataclasses.fields(Settings), ids=lambda field: field.name)
def test_every_field_is_explained(field):
    assert field.metadata["help"]
    assert field.type is type(field.default)
    if field.metadata["choices"]:
        assert field.default in field.metadata["choices"]


NUMBERS = [field.name for field in dataclasses.fields(Settings) if type(field.default) is not str]
NUMBERS = [name for name in NUMBERS if type(getattr(Settings(), name)) is not bool]
CHOICES = [field.name for field in dataclasses.fields(Settings) if field.metadata["choices"]]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [-1, -1e-9, float("nan"), float("inf"), float("-inf")])
def test_numbers_are_finite_and_not_negative(name, value):
    with pytest.raises(UserError, match=f"^{name}="):
        changed(**{name: value}).check()


@pytest.mark.parametrize("name", CHOICES)
def test_choices(name):
    with pytest.raises(UserError, match=f"^{name}=other: choose one of ") as error:
        changed(**{name: "other"}).check()
    assert getattr(Settings(), name) in str(error.value)


def test_which_fields_are_numbers_and_choices():
    """So that the two tests above keep covering something."""
    assert len(NUMBERS) == 21
    assert CHOICES == [
        "preset",
        "shared_encoder",
        "loss_normalization",
        "feature_cache",
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"embedding_dim": 0}, "--embedding_dim=0: must be more than 0"),
        ({"hidden_width": 0}, "--hidden_width=0: must be more than 0"),
        ({"epochs": 0, "source_only_epochs": 0}, "--epochs=0: must be more than 0"),
        ({"batch_size": 0}, "--batch_size=0: must be more than 0"),
        ({"images_per_identity": 0}, "--images_per_identity=0: must be more than 0"),
        ({"learning_rate_scale": 0.0}, "--learning_rate_scale=0.0: must be more than 0"),
        ({"target": "toy_market"}, "--source and --target are both toy_market"),
        ({"dropout": 1.0}, "--dropout=1.0: must be less than 1"),
        ({"momentum": 1.0}, "--momentum=1.0: must be less than 1"),
        ({"source_only_epochs": 50}, "--source_only_epochs=50 leaves none of --epochs=50 to ARN"),
        ({"batch_size": 30}, "--batch_size=30 is not a multiple of --images_per_identity=4"),
        ({"replicas": 3}, "--batch_size=32 can't be divided by --replicas=3"),
        ({"private_encoders": False}, "--private_encoders=false leaves L_diff nothing to"),
        ({"class_weight": 0.0, "contrastive_weight": 0.0}, "--class_weight=0 --contrastive_weight"),
        (
            {
                "class_weight": 0.0,
                "contrastive_weight": 0.0,
                "source_only_epochs": 0,
                "reconstruction_weight": 0.0,
                "difference_weight": 0.0,
            },
            "all loss weights are 0",
        ),
        ({"input_size": "224"}, "--input_size=224: give HEIGHTxWIDTH"),
        ({"input_size": "224x"}, "--input_size=224x: give HEIGHTxWIDTH"),
        ({"input_size": "0x10"}, "--input_size=0x10: give HEIGHTxWIDTH"),
        ({"input_size": "-3x10"}, "--input_size=-3x10: give HEIGHTxWIDTH"),
        ({"input_size": "8x8x3"}, "--input_size=8x8x3: give HEIGHTxWIDTH"),
        ({"input_size": "²x8"}, "--input_size=²x8: give HEIGHTxWIDTH"),
    ],
)
def test_what_cannot_be(values, message):
    with pytest.raises(UserError) as error:
        changed(**values).check()
    assert message in command_line.message(error.value)


@pytest.mark.parametrize(
    "values",
    [
        {"dropout": 0.0, "momentum": 0.0, "margin": 0.0, "monitor_every": 0, "seed": 0},
        {"source_only_epochs": 49},
        {"source_only_epochs": 0, "encoder_i_epochs": 0},
        {"replicas": 4},
        {"private_encoders": False, "difference_weight": 0.0},
        {
            "class_weight": 0.0,
            "contrastive_weight": 0.0,
            "source_only_epochs": 0,
            "source_only_baseline": False,
        },
        {"input_size": "256X128"},
        {"source": "market", "target": "duke"},
    ],
)
def test_what_can_be(values):
    changed(**values).check()


def test_image_size_is_height_and_width():
    assert changed(input_size="256x128").image_size == (256, 128)


def test_folders():
    assert changed(source="market", target="duke").run_dir == "runs/market_to_duke"
    assert changed(model_dir="elsewhere").run_dir == "elsewhere"
    assert changed(data_dir="there").feature_dir == "there/arn_features"
    assert changed(data_dir="there", cache_dir="cache").feature_dir == "cache"
    assert "~" not in Settings().feature_dir


def test_learning_rate_scale_multiplies_every_rate():
    rates, scaled = (changed(learning_rate_scale=s).learning_rates() for s in (1.0, 10.0))
    assert scaled == pytest.approx({name: 10 * rate for name, rate in rates.items()})


def test_each_learning_rate_has_its_groups():
    rates = changed(
        encoder_i_learning_rate=1.0, encoder_learning_rate=2.0, classifier_learning_rate=3.0
    ).learning_rates()
    assert rates == {
        "encoder_i": 1.0,
        "encoder_c": 2.0,
        "encoder_s": 2.0,
        "encoder_t": 2.0,
        "decoder_c": 2.0,
        "classifier_s": 3.0,
    }


def test_save_and_load(tmp_path):
    settings = changed(source="duke", input_size="64x32", margin=0.7, seed=9, replicas=2)
    path = tmp_path / "settings.json"
    settings.save(path)
    assert recipes.settings_of(RunDir(str(tmp_path))) == settings
    assert set(json.loads(path.read_text())) == {f.name for f in dataclasses.fields(Settings)}


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"epoks": 3}', "{", "3"])
def test_load_of_another_file(content, tmp_path):
    path = tmp_path / "settings.json"
    path.write_text(content)
    with pytest.raises(UserError, match="not the settings of a run") as error:
        recipes.settings_of(RunDir(str(tmp_path)))
    assert str(path) in str(error.value)


def test_load_of_no_file(tmp_path):
    with pytest.raises(UserError, match=r"no settings\.json there; name the folder of a run"):
        recipes.settings_of(RunDir(str(tmp_path)))


def test_differences():
    there = dataclasses.asdict(Settings())
    assert Settings().differences(there) == []
    expected = ["seed: 0 there, 5 here", "margin: 1.0 there, 2.0 here"]
    assert changed(margin=2.0, seed=5).differences(there) == expected
    # What an earlier version didn't write has its default, and what it had besides is no setting.
    del there["margin"]
    assert changed(margin=2.0, seed=5).differences(there | {"earlier": 1}) == expected


@pytest.mark.parametrize("field", dataclasses.fields(Settings), ids=lambda field: field.name)
def test_only_what_changes_a_result_is_a_difference(field):
    value = not field.default if field.type is bool else field.type(7)
    found = changed(**{field.name: value}).differences(dataclasses.asdict(Settings()))
    elsewhere = {
        "model_dir",
        "data_dir",
        "manual_dir",
        "replicas",
        "feature_cache",
        "cache_dir",
        "monitor_every",
    }
    assert [line.split(":")[0] for line in found] == (
        [] if field.name in elsewhere else [field.name]
    )


@pytest.fixture
def parse():
    """Parses a command line after defining the flags with the defaults given."""
    names = [field.name for field in dataclasses.fields(Settings)]

    def forget():
        found = [name for name in names if name in flags.FLAGS]
        for name in found:
            delattr(flags.FLAGS, name)
        return bool(found)

    def call(*arguments, **defaults):
        forget()
        recipes.define_flags(**defaults)
        flags.FLAGS(["arn_tf.train", *arguments])
        return recipes.from_flags()

    with flagsaver.flagsaver():
        defined_elsewhere = forget()
        yield call
        forget()
        if defined_elsewhere:
            recipes.define_flags()


def test_every_setting_is_a_flag(parse):
    assert parse() == Settings()
    for field in dataclasses.fields(Settings):
        if field.name == "preset":
            continue
        assert flags.FLAGS[field.name].default == field.default
        assert field.metadata["help"] in flags.FLAGS[field.name].help
        for choice in field.metadata["choices"] or ():
            assert choice in flags.FLAGS[field.name].help


def test_flags_give_settings(parse):
    assert parse(
        "--source=duke",
        "--target=market",
        "--epochs=60",
        "--margin=0.5",
        "--noprivate_encoders",
        "--difference_weight=0",
        "--encoder_i_learning_rate=1e-6",
    ) == changed(
        source="duke",
        target="market",
        epochs=60,
        margin=0.5,
        private_encoders=False,
        difference_weight=0.0,
        encoder_i_learning_rate=1e-6,
    )


def test_flags_are_checked(parse):
    with pytest.raises(UserError, match=r"dropout=3\.0"):
        parse("--dropout=3")


def test_a_program_can_have_defaults_of_its_own(parse):
    settings = parse("--seed=4", epochs=3, source_only_epochs=1)
    assert settings == changed(epochs=3, source_only_epochs=1, seed=4)

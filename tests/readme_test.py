"""The README runs as written: its commands, flags, make targets, files and Python."""

import dataclasses
import functools
import pathlib
import re

import numpy as np
import tensorflow as tf

import arn_tf
from arn_tf.recipes import PRESETS
from tests.support import small_server

ROOT = pathlib.Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, flags=re.DOTALL)


def commands():
    """(module, flags) of every `python -m` in the README, continued lines joined."""
    text = TEXT.replace("\\\n", " ")
    found = re.findall(r"python -m ([\w.]+)((?: +--?[\w=./$-]+)*)", text)
    return [(module, re.findall(r"--(\w+)", flags)) for module, flags in found]


def flags_of(module):
    """Flags of a command: of absl in a module of arn_tf, of argparse in serving, file or folder."""
    path = ROOT / module.replace(".", "/")
    files = sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    source = "\n".join(file.read_text() for file in files)
    own = set(re.findall(r'flags\.DEFINE_\w+\(\s*"(\w+)"', source))
    own |= set(re.findall(r'add(?:_argument)?\(\s*"--(\w+)"', source))
    if module == "serving.gallery":
        own |= flags_of("serving.client")
    if "presets.define_moved_folders(" in source:
        own |= {"data_dir", "manual_dir", "cache_dir"}
    settings = {"preset"} | {
        field.name for preset in PRESETS.values() for field in dataclasses.fields(preset)
    }
    return own | (settings if "presets.define_flags(" in source else set())


def test_every_command_is_there_and_takes_its_flags():
    assert {module for module, _ in commands()} >= {
        "arn_tf.train", "arn_tf.evaluate", "arn_tf.ablate", "arn_tf.export",
        "serving.server", "serving.client", "serving.gallery",
    }  # fmt: skip
    for module, flags in commands():
        assert set(flags) <= flags_of(module), module


def test_every_flag_in_the_text_exists():
    known = set().union(*(flags_of(module) for module, _ in commands()))
    mentioned = set(re.findall(r"--([a-z_]+)", TEXT))
    # Of tensorboard and saved_model_cli.
    assert mentioned - known <= {"help", "logdir", "dir", "tag_set", "signature_def"}


def test_every_make_target_exists():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"make ([a-z-]+)", "\n".join(body for _, body in BLOCKS)))
    assert targets >= {"demo", "test"}
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in targets)


def test_every_number_is_filled_in():
    assert not re.findall(r"@[A-Z0-9_]+@", TEXT)


def test_every_file_in_the_layout_exists():
    layout = TEXT[TEXT.index("## How the house is laid out") :]
    cells = re.findall(r"^\| (`[^|]*`) \|", layout, flags=re.MULTILINE)
    names = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    assert len(names) > 15
    for name in names:
        assert any((ROOT / folder / name).exists() for folder in ("", "arn_tf", "serving")), name


def test_every_module_is_in_the_layout():
    layout = TEXT[TEXT.index("## How the house is laid out") :]
    folders = (ROOT / "arn_tf", ROOT / "serving")
    modules = {path.name for folder in folders for path in folder.glob("[a-z]*.py")}
    assert modules <= set(re.findall(r"(\w+\.py)", layout))


def test_the_python_runs(monkeypatch, tmp_path):
    code, _ = [body for language, body in BLOCKS if language == "python"]
    small = functools.partial(
        arn_tf.ARN, backbone="MobileNetV2", backbone_weights="random", input_size=(32, 32)
    )
    monkeypatch.setattr(arn_tf, "ARN", small)
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    batch = {"source_labels": np.repeat(np.arange(2, dtype=np.int32), 2)}
    for domain in ("source", "target"):
        batch[f"{domain}_images"] = rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    names = {
        "batches": tf.data.Dataset.from_tensors(batch),
        "images": batch["target_images"],
    }
    exec(code, names)
    assert names["embeddings"].shape == (4, 2048)
    np.testing.assert_allclose(np.linalg.norm(names["embeddings"], axis=1), 1, rtol=1e-5)
    assert (tmp_path / "arn.keras").exists()


def test_the_python_of_the_client_runs(monkeypatch, tmp_path):
    _, code = [body for language, body in BLOCKS if language == "python"]
    for name in ("query.jpg", "crops/1.jpg", "crops/2.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(small_server.PICTURES[0])
    monkeypatch.chdir(tmp_path)
    names = {}
    with small_server.serving() as server:
        exec(code.replace("localhost:8500", f"localhost:{server.port}"), names)
    np.testing.assert_allclose(names["cosine"], np.ones((1, 2)), rtol=1e-4)


def test_the_clients_requirements_are_those_of_the_product():
    pins = (ROOT / "requirements.txt").read_text().splitlines()
    lines = (ROOT / "serving" / "requirements.txt").read_text().splitlines()
    names = {line.partition("==")[0] for line in lines if not line.startswith("#")}
    assert names == {"faiss-cpu", "grpcio", "numpy", "pillow", "protobuf", "tqdm"}
    pinned = {line.split()[0] for line in pins if not line.startswith("#")}
    assert {line for line in lines if not line.startswith("#")} <= pinned

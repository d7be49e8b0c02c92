"""Files of torch.save: what is read of good ones, and what is said of the others."""

import collections
import os
import pickle
import re
import tracemalloc
import zipfile

import numpy as np
import pytest

from arn_tf.weight_files import torch_file
from arn_tf.weight_files.bad_weights import BadWeights
from tests.support import torch_files
from tests.support.torch_files import TensorOf, legacy_file, saved, tensors_of, zip_file

ROW = np.arange(6, dtype="<f4")


def nested(depth):
    """A tuple within a tuple, and so on."""
    return (nested(depth - 1),) if depth else ()


ONE = {"a": TensorOf(ROW)}
DATA = {"0": ROW.tobytes()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pth"


def says(path, words):
    with pytest.raises(BadWeights) as raised:
        torch_file.read(str(path))
    text = str(raised.value)
    assert re.search(words, text), text
    assert "\n" not in text
    return text


# What is read.


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<f2", "<i8"])
@pytest.mark.parametrize("shape", [(3, 2), (), (0, 4)])
def test_arrays_of_each_type(path, dtype, shape):
    array = np.random.default_rng(0).normal(0, 100, shape).astype(dtype)
    form, found = torch_file.read(saved(path, {"one": array, "two": 2 * array}))
    assert form == torch_file.ZIP
    assert list(found) == ["one", "two"]
    for name, expected in (("one", array), ("two", 2 * array)):
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], expected)


def test_bfloat16_is_the_upper_half_of_a_float32(path):
    bits = np.array([0x3F80, 0xC049, 0x0000], "<u2")
    _, found = torch_file.read(saved(path, {"a": bits}))
    np.testing.assert_array_equal(found["a"], np.float32([1, -3.140625, 0]))


def test_views_of_one_storage(path):
    held = {
        "turned": TensorOf(ROW, shape=(3, 2), strides=(1, 3)),
        "end": TensorOf(ROW, offset=4, shape=(2,), strides=(1,)),
    }
    _, found = torch_file.read(zip_file(path, held, DATA))
    np.testing.assert_array_equal(found["turned"], [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(found["end"], [4, 5])


def test_many_views_of_one_storage_take_no_memory(path):
    """A small file can't ask for much memory."""
    row = np.zeros(1 << 18, "<f4")
    held = {str(number): TensorOf(row) for number in range(2_000)}
    zip_file(path, held, {"0": row.tobytes()})
    tracemalloc.start()
    try:
        _, found = torch_file.read(str(path))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found) == 2_000 and most < 20 * row.nbytes


@pytest.mark.parametrize("wrapped", ["", "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_dictionaries_and_prefixes(path, wrapped, prefix):
    _, found = torch_file.read(saved(path, {f"{prefix}a": ROW, f"{prefix}b": ROW}, wrapped))
    assert list(found) == ["a", "b"]


def test_a_checkpoint_with_its_scores_schedule_and_optimizer(path):
    held = {
        "state_dict": tensors_of({"a": ROW}),
        "rank1": np.float32(0.5),
        "scheduler": {"milestones": collections.Counter([20, 30])},
        "optimizer": {"state": {0: {"momentum": TensorOf(2 * ROW, "1")}}},
    }
    data = {"0": ROW, "1": 2 * ROW}
    for form, written in (
        (torch_file.ZIP, zip_file(path, held, {k: v.tobytes() for k, v in data.items()})),
        (torch_file.LEGACY, legacy_file(path.with_suffix(".old"), held, data)),
    ):
        found = torch_file.read(written)
        assert found[0] == form
        np.testing.assert_array_equal(found[1]["a"], ROW)


def test_the_older_kind(path):
    held = {"b": TensorOf(2 * ROW, "9"), "half": TensorOf(ROW, "8", offset=3, shape=(3,))}
    form, found = torch_file.read(legacy_file(path, held, {"8": ROW, "9": 2 * ROW}))
    assert form == torch_file.LEGACY
    np.testing.assert_array_equal(found["b"], 2 * ROW)
    np.testing.assert_array_equal(found["half"], [3, 4, 5])


# What would run something.


class Call:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def by_name(module, name, *arguments):
    """A pickle that calls what it names, with texts."""
    given = b"".join(b"X" + len(a).to_bytes(4, "little") + a.encode() for a in arguments)
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(" + given + b"tR."


PROGRAMS = {
    "posix.system": pickle.dumps(Call(os.system, "touch SEEN"), 2),
    "builtins.eval": by_name("builtins", "eval", "open('SEEN', 'w')"),
    "builtins.getattr": by_name("builtins", "getattr", "", "format"),
    "torch.load": by_name("torch", "load", "SEEN"),
    "numpy.load": by_name("numpy", "load", "SEEN"),
    "torch._utils._rebuild_wrapper": by_name("torch._utils", "_rebuild_wrapper"),
    "collections.OrderedDict.fromkeys": by_name("collections", "OrderedDict.fromkeys", "SEEN"),
    "torch.nn.modules.linear.Linear": by_name("torch.nn.modules.linear", "Linear"),
    # As protocol 4 names things.
    "os.popen": b"\x80\x04\x8c\x02os\x8c\x05popen\x93\x8c\x04SEEN\x85R.",
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_a_program_is_refused_by_its_name(path, name, kind, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    write = zip_file if kind == "zip" else legacy_file
    text = says(write(path, PROGRAMS[name], {}), rf"^it names {re.escape(name)}, which no tensor")
    assert "weights_only=False" in text and "state_dict" in text
    assert not (tmp_path / "SEEN").exists()


@pytest.mark.parametrize(
    "program",
    [
        # Allowed names, called and changed as nobody does.
        by_name("torch._utils", "_rebuild_tensor_v2", "SEEN"),
        by_name("torch._utils", "_rebuild_parameter"),
        by_name("torch", "FloatStorage"),
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x08\x00\x00\x00__code__K\x01s\x86b.",
        b"\x80\x02ccollections\nOrderedDict\nN}X\x06\x00\x00\x00updateK\x01s\x86b.",
    ],
)
def test_allowed_names_misused(path, program):
    says(zip_file(path, program, {}), "^(its pickle|a tensor|it holds)")
    # Nothing of it stays behind.
    _, found = torch_file.read(saved(path, {"a": ROW}))
    np.testing.assert_array_equal(found["a"], ROW)


def changed(pickled, state):
    """The pickle of a dictionary whose value at its end is given a state, as BUILD gives one."""
    assert pickled.endswith(b"s.") and pickle.dumps(state, 2).startswith(b"\x80\x02")
    return pickled[:-2] + pickle.dumps(state, 2)[2:-1] + b"bs."


@pytest.mark.parametrize(
    "state",
    [
        {"shape": (1000,)},
        {"offset": -4},
        {"strides": (2**40,)},
        {"storage": None},
        (None, {"shape": (1000,)}),
        (None, {"array": 1}),
    ],
)
def test_a_tensor_takes_no_state(path, state):
    """It was checked as it was made; changed, it would show memory beyond the file's numbers."""
    whole = torch_files.pickled(ONE)
    says(zip_file(path, changed(whole, state), DATA), "^its pickle is broken")
    _, found = torch_file.read(zip_file(path, whole, DATA))
    np.testing.assert_array_equal(found["a"], ROW)


@pytest.mark.parametrize("state", [{"items": 1}, {"get": None}, (None, {"items": 1}), 7])
def test_the_state_of_a_dictionary_is_ignored(path, state):
    """PyTorch gives one to that of the weights: versions of its modules."""
    whole = torch_files.pickled(collections.OrderedDict(a=TensorOf(ROW)))
    program = whole[:-1] + pickle.dumps(state, 2)[2:-1] + b"b."
    _, found = torch_file.read(zip_file(path, program, DATA))
    np.testing.assert_array_equal(found["a"], ROW)


@pytest.mark.parametrize("name", ["FloatStorage", "BoolStorage"])
def test_the_kind_of_a_storage_takes_no_state(path, name):
    program = b"\x80\x02ctorch\n" + name.encode() + b"\n"
    program += pickle.dumps((None, {"name": "Evil"}), 2)[2:-1] + b"b."
    says(zip_file(path, program, {}), "^its pickle is broken")


def test_numpy_names_do_nothing(path):
    """`numpy.dtype` and the like are stand-ins, which make nothing of what they are given."""
    program = by_name("numpy", "dtype", "V99999999999")
    says(zip_file(path, program, {}), "no dictionary of tensors")


# What can't be.


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (TensorOf(ROW, shape=(7,), strides=(1,)), "more than the 6 numbers of storage 0"),
        (TensorOf(ROW, shape=(3, 3), strides=(2, 1)), "more than the 6"),
        (TensorOf(ROW, offset=6, shape=(1,), strides=(1,)), "more than the 6"),
        (TensorOf(ROW, shape=(2**40,), strides=(0,)), "more than the 6"),
        (TensorOf(ROW, shape=(2**60,), strides=(1,)), "shape"),
        (TensorOf(ROW, shape=(-1,), strides=(1,)), "shape"),
        (TensorOf(ROW, offset=-4, shape=(2,), strides=(1,)), "offset -4"),
        (TensorOf(ROW, shape=(2, 3), strides=(1,)), "no shape"),
        (TensorOf(ROW, shape=(1,) * 9, strides=(1,) * 9), "shape"),
        (TensorOf(ROW, shape=(0, 2**47, 2**47), strides=(1, 1, 1)), "shape"),
        (TensorOf(ROW, count=2**62), "length"),
        (TensorOf(ROW, count=-1), "length"),
        (TensorOf(ROW, key="../../etc/passwd"), "storage is named '../../etc"),
        (TensorOf(ROW, key=7), r"storage is named 7\. Save"),
    ],
)
def test_impossible_tensors(path, tensor, words):
    says(zip_file(path, {"a": tensor}, DATA), words)


@pytest.mark.parametrize("count", [5, 7, 2**40])
def test_a_storage_of_another_length(path, count):
    tensor = TensorOf(ROW, shape=(5,), strides=(1,), count=count)
    says(zip_file(path, {"a": tensor}, DATA), r"storage 0 of a has 24 bytes.*fetch it again")
    says(legacy_file(path, {"a": tensor}, {"0": ROW}), "another length.*fetch it again")


def test_a_storage_that_is_missing_or_of_two_types(path):
    says(zip_file(path, ONE, {"1": b""}), "archive/data/0 is missing")
    both = {"a": TensorOf(ROW), "b": TensorOf(ROW.astype("<f8"))}
    says(zip_file(path, both, DATA), "storage 0 has two types")


@pytest.mark.parametrize("write", [saved, lambda path, arrays: legacy_file(path, ONE, {"0": ROW})])
def test_cut_off(path, write):
    write(path, {"a": ROW})
    content = path.read_bytes()
    for length in range(16, len(content) - 1, 7):
        path.write_bytes(content[:length])
        says(path, "broken|fetch it again|no storage|unknown version")


def test_another_order_of_bytes(path):
    says(zip_file(path, ONE, DATA, byteorder=b"big"), "big-endian")


def test_encrypted(path):
    zip_file(path, ONE, DATA)
    content = bytearray(path.read_bytes())
    for place in [m.start() for m in re.finditer(b"PK\x01\x02", bytes(content))]:
        content[place + 8] |= 1
    path.write_bytes(content)
    says(path, "encrypted")


def test_compressed(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10**6))
    says(path, "compressed")


def test_damaged_numbers(path):
    zip_file(path, ONE, DATA)
    content = path.read_bytes()
    path.write_bytes(content.replace(ROW.tobytes(), ROW[::-1].tobytes()))
    says(path, "CRC.*fetch it again")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name(path):
    zip_file(path, ONE, DATA)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data/0", bytes(24))
    says(path, "two entries")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: zip_file(path, ONE, DATA, **{"constants.pkl": b""}), "TorchScript"),
        (lambda path: zip_file(path, ONE, DATA, root="a/b"), "not of torch.save"),
        (lambda path: zip_file(path, [1, 2], {}), "no dictionary"),
        (lambda path: zip_file(path, {}, {}), "no dictionary"),
        (lambda path: zip_file(path, {"a": 1}, {}), "entry 'a' is no tensor"),
        (lambda path: zip_file(path, {7: TensorOf(ROW)}, DATA), "entry '7' is no tensor"),
        (lambda path: zip_file(path, {nested(15): 1}, {}), "is no tensor"),
        (lambda path: zip_file(path, {nested(300): 1}, {}), "tuples within tuples"),
        (lambda path: zip_file(path, {10**5000: 1}, {}), "is broken"),
        # Index 2 ** 31 of the memo.
        (lambda path: zip_file(path, b"\x80\x02Nr\x00\x00\x00\x80.", {}), "more memory"),
        (lambda path: zip_file(path, b"\x80\x04\x8e" + b"\xff" * 8, {}), "pickle is broken"),
    ],
)
def test_other_archives(path, make, words):
    says(make(path), words)


@pytest.mark.parametrize(
    "tuples",
    [
        b")" + b"\x85" * 150_000,  # one in the other: more calls than the stack of C holds
        b")" + b"2\x86" * 60,  # each twice in the next: 2 ** 60 to look at
        b")q\x01" + b"h\x01h\x01\x86q\x01" * 60,  # likewise, by the memo
        b")\x94" + b"".join(b"h%ch%c\x86\x94" % (n, n) for n in range(60)),
        b")" + b"N\x86" * 60,
    ],
)
def test_a_key_of_tuples_within_tuples_is_not_even_loaded(path, tuples):
    says(zip_file(path, b"\x80\x04}" + tuples + b"Ns.", {}), "^its pickle has tuples within tup")


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02c" + b"m" * 10**6 + b"\n" + b"n" * 10**6 + b"\n.",
        torch_files.pickled({"a": TensorOf(ROW, key=("0",) * 10**5)}),
        torch_files.pickled({"a": TensorOf(ROW, count=("0",) * 10**5)}),
    ],
)
def test_names_of_a_million_letters_are_cut(path, program):
    assert len(says(zip_file(path, program, DATA), "^(it names mm|a storage|storage 0)")) < 600


def test_the_fake_torch_is_gone():
    import sys

    torch_files.pickled(ONE)
    assert "torch" not in sys.modules

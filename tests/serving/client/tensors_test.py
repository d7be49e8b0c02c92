"""Tensors in and out of messages, against TensorFlow's own encoder and decoder."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from serving.client import message_classes, tensors
from serving.errors import ReplyError


def ours(theirs):
    return message_classes.TensorProto.FromString(theirs.SerializeToString())


def theirs(mine):
    return tensor_pb2.TensorProto.FromString(mine.SerializeToString())


def float_val(values, shape):
    return ours(
        tensor_pb2.TensorProto(
            dtype=tf.float32.as_datatype_enum,
            tensor_shape=tf.TensorShape(shape).as_proto(),
            float_val=values,
        )
    )


def string_content(content, rows):
    tensor = message_classes.TensorProto(dtype=message_classes.DT_STRING, tensor_content=content)
    tensor.tensor_shape.dim.add(size=rows)
    return tensor


def test_pictures_are_what_tensorflow_reads():
    tensor = message_classes.TensorProto()
    tensors.put_strings(tensor, [b"", b"\xff\xd8\x00", b"three"])
    assert tf.make_ndarray(theirs(tensor)).tolist() == [b"", b"\xff\xd8\x00", b"three"]
    parsed = tf.io.parse_tensor(tensor.SerializeToString(), tf.string)
    assert parsed.numpy().tolist() == [b"", b"\xff\xd8\x00", b"three"]


def test_images_are_what_tensorflow_reads():
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3), np.uint8)
    for array in (images, images[:, ::-1, ::2]):  # the second is not contiguous
        tensor = message_classes.TensorProto()
        tensors.put_uint8(tensor, array)
        np.testing.assert_array_equal(tf.make_ndarray(theirs(tensor)), array)
        parsed = tf.io.parse_tensor(tensor.SerializeToString(), tf.uint8)
        np.testing.assert_array_equal(parsed.numpy(), array)


def test_cameras_are_what_tensorflow_reads():
    numbers = [3, -1, 2**63 - 1, -(2**63)]
    tensor = message_classes.TensorProto()
    tensors.put_int64(tensor, numbers)
    assert tf.make_ndarray(theirs(tensor)).tolist() == numbers
    parsed = tf.io.parse_tensor(tensor.SerializeToString(), tf.int64)
    assert parsed.numpy().tolist() == numbers
    none = message_classes.TensorProto()
    tensors.put_int64(none, [])
    assert tf.make_ndarray(theirs(none)).shape == (0,)


def test_floats_in_both_encodings():
    values = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    values[0, :3] = np.nan, np.inf, -0.0
    for tensor in (ours(tf.make_tensor_proto(values)), float_val(values.ravel(), (3, 5))):
        found = tensors.floats(tensor, (3, 5), "x")
        assert found.dtype == np.float32 and found.flags.writeable
        assert found.tobytes() == values.tobytes()
    assert ours(tf.make_tensor_proto(values)).tensor_content  # so both were tried


def test_floats_sent_in_two_runs():
    first, second = float_val([1, 2], (4,)), float_val([3, 4], (4,))
    second.ClearField("dtype")
    second.ClearField("tensor_shape")
    both = message_classes.TensorProto.FromString(
        first.SerializeToString() + second.SerializeToString()
    )
    assert tensors.floats(both, (4,), "x").tolist() == [1, 2, 3, 4]


def test_the_last_of_too_few_floats_repeats():
    tensor = float_val([1, 2], (2, 3))
    expected = tf.make_ndarray(theirs(tensor))
    np.testing.assert_array_equal(tensors.floats(tensor, (2, 3), "x"), expected)
    assert expected.tolist() == [[1, 2, 2], [2, 2, 2]]


def test_no_rows_need_no_values():
    assert tensors.floats(float_val([], (0, 4)), (0, 4), "x").shape == (0, 4)


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (float_val([1, 2, 3], (2,)), "12 bytes for 2"),
        (float_val([], (2,)), "0 bytes for 2"),
        (float_val([1, 2], (1, 2)), r"shape \[1, 2\], not \[2\]"),
        (float_val([1], (2**40,)), "shape"),
        (float_val([1, 2], None), "shape"),
        (ours(tf.make_tensor_proto([1, 2])), "type number 3, not float"),
        (message_classes.TensorProto(), "type number 0"),
    ],
)
def test_floats_that_do_not_fit(tensor, text):
    with pytest.raises(ReplyError, match=f"output x has .*{text}"):
        tensors.floats(tensor, (2,), "x")


@pytest.mark.parametrize("content", [b"1234", b"12345", b"123456789"])
def test_float_content_must_have_every_value(content):
    tensor = float_val([], (2,))
    tensor.tensor_content = content
    with pytest.raises(ReplyError, match=f"output x has {len(content) // 4}|{len(content)} bytes"):
        tensors.floats(tensor, (2,), "x")


def test_strings_in_both_encodings():
    long = b"y" * 300  # its length takes two bytes
    values = [b"", b"abc", long]
    plain = message_classes.TensorProto()
    tensors.put_strings(plain, values)
    content = string_content(b"\x00\x03\xac\x02" + b"abc" + long, 3)
    # TF Serving sends this with --enable_serialization_as_tensor_content.
    assert tf.io.parse_tensor(content.SerializeToString(), tf.string).numpy().tolist() == values
    for tensor in (plain, content):
        assert tensors.strings(tensor, (3,), "x") == values


def test_the_last_of_too_few_strings_repeats():
    tensor = string_content(b"", 3)
    tensor.string_val.extend([b"a", b"b"])
    assert tf.io.parse_tensor(tensor.SerializeToString(), tf.string).numpy().tolist() == [
        b"a",
        b"b",
        b"b",
    ]
    assert tensors.strings(tensor, (3,), "x") == [b"a", b"b", b"b"]


@pytest.mark.parametrize(
    "content", [b"\x01", b"\x01\x01a", b"\x01\x01abc", b"\x80", b"\xff" * 12, b"\x01\x80\x80"]
)
def test_string_content_that_does_not_fit(content):
    with pytest.raises(ReplyError, match="aren't 2 strings"):
        tensors.strings(string_content(content, 2), (2,), "x")


@pytest.mark.parametrize("values", [[], [b"a", b"b", b"c"]])
def test_too_many_strings_or_none(values):
    tensor = string_content(b"", 2)
    tensor.string_val.extend(values)
    with pytest.raises(ReplyError, match=f"{len(values)} values for 2"):
        tensors.strings(tensor, (2,), "x")


def bool_val(values, rows):
    tensor = message_classes.TensorProto(dtype=message_classes.DT_BOOL, bool_val=values)
    tensor.tensor_shape.dim.add(size=rows)
    return tensor


def test_booleans_in_both_encodings():
    values = [True, False, True]
    content = ours(tf.make_tensor_proto(np.array(values)))
    content.tensor_content = np.array(values).tobytes()
    content.ClearField("bool_val")
    for tensor in (bool_val(values, 3), content):
        assert tf.make_ndarray(theirs(tensor)).tolist() == values
        found = tensors.booleans(tensor, (3,), "x")
        assert found.dtype == bool and found.tolist() == values
    assert tensors.booleans(bool_val([], 0), (0,), "x").shape == (0,)


def test_the_last_of_too_few_booleans_repeats():
    tensor = bool_val([True, False], 4)
    expected = tf.make_ndarray(theirs(tensor)).tolist()
    assert tensors.booleans(tensor, (4,), "x").tolist() == expected == [True] + [False] * 3


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (bool_val([], 2), "0 values for 2"),
        (bool_val([True] * 3, 2), "3 values for 2"),
        (bool_val([True] * 3, 3), "shape"),
        (float_val([1, 2], (2,)), "type number 1, not bool"),
    ],
)
def test_booleans_that_do_not_fit(tensor, text):
    with pytest.raises(ReplyError, match=f"output x has .*{text}"):
        tensors.booleans(tensor, (2,), "x")

"""Models that compute in float32, whatever Keras's global dtype policy is.

They can't follow another one: the losses are made of distances between codes that are nearly equal,
the literal L_rec is a sum beyond float16's largest number, and steps of 1e-7 vanish in 16 bits. A
file says nothing of a policy either, so that the one of the moment must not change what it holds.
"""

import functools
import warnings
from collections.abc import Callable
from typing import Any

import keras

from arn_tf.errors import ArgumentError, UserError

_FLOAT32 = "float32"


def in_float32(construct: Callable[..., None]) -> Callable[..., None]:
    """Decorates `__init__` of a Keras model: all that it makes has float32 weights and arithmetic.

    Another global policy has no effect, and a warning says so. The decorated `__init__` raises
    `UserError` for an argument `dtype` or a `floatx` of Keras's that is not float32.
    """

    @functools.wraps(construct)
    def constructed(self: keras.Model, *args: Any, **kwargs: Any) -> None:
        name = type(self).__name__
        _refuse_others(name, kwargs.get("dtype"))
        policy = keras.config.dtype_policy()
        if policy.name == _FLOAT32:
            construct(self, *args, **kwargs)
            return
        warnings.warn(
            f"{name} computes in float32: Keras's global dtype policy, {policy.name}, has no "
            "effect on it",
            stacklevel=2,
        )
        keras.config.set_dtype_policy(_FLOAT32)
        try:
            construct(self, *args, **kwargs)
        finally:
            keras.config.set_dtype_policy(policy)

    return constructed


def _refuse_others(name: str, dtype: Any) -> None:
    if dtype is not None and keras.dtype_policies.get(dtype).name != _FLOAT32:
        raise ArgumentError(
            "dtype",
            keras.dtype_policies.get(dtype).name,
            f"{name} computes in float32; leave dtype out. A StrongModel takes "
            'precision="bfloat16", for E_I alone',
        )
    if keras.config.floatx() != _FLOAT32:
        raise UserError(
            f"Keras's floatx is {keras.config.floatx()}, to which optimizers round their learning "
            f'rates, and {name} computes in float32: call keras.config.set_floatx("float32") '
            "before making or loading one"
        )

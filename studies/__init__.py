"""Measurements of accuracy; nothing of the product imports them."""

from arn_tf.layers import keras_settings
from arn_tf.run import command_line
from datasets import tensorflow_process

# Here, since a study imports Keras and TensorFlow first of all.
tensorflow_process.prepare()
command_line.call(keras_settings.override)

"""Measurements of speed; nothing of the product imports them."""

import os

# As `arn_tf.layers.keras_settings.override`, but imports nothing: the memory of a benchmark's
# process counts as its children's. No file is below os.devnull, so Keras's settings are its own;
# benchmarks need no weights of its folder.
for name in [name for name in os.environ if name.startswith("KERAS_")]:
    del os.environ[name]
os.environ["KERAS_HOME"] = os.devnull

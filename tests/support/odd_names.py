"""Names that a folder can have."""

import os

# What TensorFlow takes for a pattern, what its paths and addresses use, and no UTF-8.
NAMES = ["run[1]", "a]b[", "\\n", "x*", "?", "{a,b}", "50% ü~ #1:\n", os.fsdecode(b"caf\xe9")]

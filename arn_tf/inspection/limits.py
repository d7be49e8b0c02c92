"""The numbers that findings go by; those of training are the recipe's own."""

from arn_tf.strong.settings import StrongSettings

BATCH = StrongSettings.batch_size
INPUT_SIZE = StrongSettings.input_size
_HEIGHT, _WIDTH = StrongSettings().image_size
# Of a decoded picture.
BYTES = _HEIGHT * _WIDTH * 3
# A target of fewer pictures has few persons, and clusters of them tell little.
FEW = 500
# (height, width): a person of fewer pixels has no clothes to tell by.
TINY = (32, 16)
# Height of a standing person's crop: up to 4 times its width, where it is tight.
TALL = 5
# The camera with most pictures has so many times those of the one with least.
UNEQUAL = 20

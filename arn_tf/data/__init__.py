"""From data sets, and folders of a user's own, to pictures in batches.

Modules here and above import the package `datasets`, so whether that is this product's is checked
before any of them.
"""

from arn_tf.data import datasets_package

datasets_package.check()

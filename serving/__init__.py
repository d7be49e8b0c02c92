"""Serving ARN: a client without TensorFlow, a gallery to search, a server for development.

Nothing here is imported by `arn_tf`, and only `serving.server` needs TensorFlow.
"""

import os

# Notes and failures that the two libraries log by themselves; errors arrive as exceptions.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

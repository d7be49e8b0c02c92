"""Serving ARN: a client without TensorFlow, a gallery to search, a server for development.

Nothing here is imported by `arn_tf`, and only `server.py` and what lies below it needs TensorFlow.
"""

import os

# TensorFlow's own notes as it starts, of no use to anybody here; errors arrive as exceptions.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

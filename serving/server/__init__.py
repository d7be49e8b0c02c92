"""A server for development: `python -m serving.server --model_dir=models/arn --port=8500`.

Speaks TensorFlow Serving's gRPC with its messages and status codes, so that a client written
against one works with the other. It is one Python process: production is TensorFlow Serving, with
the files of serving/deploy/config (docs/serving.md).
"""

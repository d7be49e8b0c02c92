"""Embeddings of many pictures on disk: a job's Parquet shards, as `arn_tf.embed` writes them.

Light: whoever reads them, gallery or ranking, needs no TensorFlow.
"""

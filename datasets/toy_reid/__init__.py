"""Drawn toy data set for domain-adaptive person re-identification."""

from datasets.toy_reid.toy_reid_dataset_builder import Builder

__all__ = ["Builder"]

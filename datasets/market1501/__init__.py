"""Market-1501."""

from datasets.market1501.market1501_dataset_builder import Builder

__all__ = ["Builder"]

"""DukeMTMC-reID."""

from datasets.dukemtmc_reid.dukemtmc_reid_dataset_builder import Builder

__all__ = ["Builder"]

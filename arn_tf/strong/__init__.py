"""The strong recipe: a tuned backbone, statistics per camera, self-training without labels."""

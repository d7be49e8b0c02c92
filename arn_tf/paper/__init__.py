"""The recipe of the ARN paper: Li et al., CVPR Workshops 2018."""

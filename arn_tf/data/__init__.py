"""Pictures of a data set: splits in memory, decoding, sampling, batches."""

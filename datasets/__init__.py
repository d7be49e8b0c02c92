"""TensorFlow Datasets builders of the person re-identification data sets."""

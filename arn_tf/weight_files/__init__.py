"""Files of weights that other programs write, read as NumPy arrays and never run."""

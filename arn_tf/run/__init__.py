"""A training run: its settings, folder, start, callbacks and logs."""

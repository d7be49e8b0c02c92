"""Starting TensorFlow Serving: configuration files, and what checks and writes them."""

"""What is in a user's pictures, what will go wrong with them, and what to do; no TensorFlow."""

"""Embedding jobs: an exported model over many pictures, into shards, on one machine or several."""

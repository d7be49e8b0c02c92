"""Layers and device placement that both recipes share."""

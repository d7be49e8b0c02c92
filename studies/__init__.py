"""Measurements of accuracy; nothing of the product imports them."""

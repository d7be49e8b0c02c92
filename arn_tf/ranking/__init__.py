"""Ranking of a gallery: protocol, re-ranking, intervals, tables, pictures."""

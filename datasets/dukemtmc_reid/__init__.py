"""DukeMTMC-reID."""

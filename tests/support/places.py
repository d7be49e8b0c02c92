"""Where tests find things: the checkout, and the folder beside it that not everybody has."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"

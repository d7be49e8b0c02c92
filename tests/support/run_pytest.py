"""Runs test files with pytest, as a program; the main file of every test of Bazel."""

import sys

import pytest

if __name__ == "__main__":
    raise SystemExit(pytest.main(sys.argv[1:]))

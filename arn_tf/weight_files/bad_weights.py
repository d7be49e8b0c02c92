"""What is said of a file of weights that can't be used."""


class BadWeights(Exception):
    """The text says what is wrong and what to do; who asked for the file says which it is."""

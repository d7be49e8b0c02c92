"""What is said of a file of weights that can't be used."""

from datasets.files.printable import printable


class BadWeights(Exception):
    """The text says what is wrong and what to do; who asked for the file says which it is.

    Names that the file has reach a terminal by it, so nothing in it steers one.
    """

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))

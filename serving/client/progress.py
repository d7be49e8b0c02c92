"""A progress bar on stderr, or nothing."""

import sys


class Progress:
    """Use it with `with`.

    Args:
        pictures: how many there are.
        shown: whether to draw.
    """

    def __init__(self, pictures, shown):
        self._bar = None
        if shown:
            import tqdm  # not needed to embed, so not loaded to embed

            self._bar = tqdm.tqdm(total=pictures, unit="picture", file=sys.stderr)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._bar is not None:
            self._bar.close()

    def reach(self, done):
        """Says how many pictures are done."""
        if self._bar is not None:
            self._bar.update(done - self._bar.n)

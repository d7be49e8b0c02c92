"""What few pictures of a camera are worth: the target's statistics, their own, or shrunk ones."""

from collections.abc import Mapping

import numpy as np

from arn_tf.layers.normalization import TARGET
from arn_tf.strong import row_pictures
from arn_tf.strong.camera_statistics import Moments, shrunk, with_cameras
from arn_tf.strong.model import StrongModel
from studies.camera_features import SCORED, Found, moments, of_both_views, precision

NUMBERS = (3, 8, 16, 32, 64, 256)
# Pictures that the whole target's statistics count for: all, none, and some.
PRIORS = {"target": np.inf, "camera": 0, "4": 4, "8": 8, "16": 16, "32": 32, "64": 64}
ORDERS = ("at random", "in a row")

# {camera_id: rows of training pictures}.
Rows = Mapping[int, np.ndarray]


def drawn(
    camera_id: np.ndarray, number: int, order: str, rng: np.random.Generator
) -> dict[int, np.ndarray]:
    """Returns {camera_id: rows of so many of its pictures}, int [number] each.

    Args:
        camera_id: int64 [N], of pictures in the order of their names.
        number: of pictures.
        order: of `ORDERS`.
        rng: draws them.
    """
    rows = {}
    for camera in np.unique(camera_id):
        own = np.flatnonzero(camera_id == camera)
        if order == "at random":
            rows[int(camera)] = rng.choice(own, number, replace=False)
        else:
            first = rng.integers(len(own) - number + 1)
            rows[int(camera)] = own[first : first + number]
    return rows


class Refilled:
    """Features by statistics of the layers of few pictures: a table that is filled again.

    Args:
        model: `StrongModel`.
        found: features of training pictures, query and gallery.
        pictures: {"train", "query", "gallery": uint8 [N, height, width, 3]}.
    """

    def __init__(self, model: StrongModel, found: Found, pictures: Found) -> None:
        self._found, self._pictures = found, pictures
        self._model = with_cameras(model, np.unique(found["train_camera_id"]).tolist())

    def __call__(self, rows: Rows, share: float) -> Found:
        """Returns `found` with other features by "camera", and by "target" of training pictures.

        Args:
            rows: {camera_id: training pictures that there are}.
            share: of a camera's own statistics.
        """
        table, train = self._model.table, self._pictures["train"]
        every = np.concatenate(list(rows.values()))
        whole = self._of_layers(train[every])
        table.set_moments(TARGET, *whole)
        for camera, few in rows.items():
            own = shrunk(self._of_layers(train[few]), whole, share)
            table.set_moments(int(table.rows_of([camera])[0]), *own)
        result = dict(self._found)
        for name in SCORED:
            result[f"{name}_camera"] = self._embedded(
                self._pictures[name], table.rows_of(self._found[f"{name}_camera_id"])
            )
        places = {"camera": table.rows_of(self._found["train_camera_id"][every])}
        places["target"] = np.full(len(every), TARGET, np.int32)
        for layers, of_table in places.items():
            vectors = np.zeros_like(self._found[f"train_{layers}"])
            vectors[:, every] = self._embedded(train[every], of_table)
            result[f"train_{layers}"] = vectors
        return result

    def _of_layers(self, pictures: np.ndarray) -> Moments:
        mean, variance = row_pictures.layer_moments(self._model, pictures, np.arange(len(pictures)))
        return mean, variance

    def _embedded(self, pictures: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return of_both_views(self._model.traced.camera_features, pictures, rows)


def by_number(
    found: Found, layers: str, draws: int, refilled: Refilled | None = None
) -> dict[str, dict[str, dict[str, list]]]:
    """Returns {order: {number of pictures: {prior: average precision of each query}}}.

    The mean over draws, which are the same for all priors.

    Args:
        found: features of training pictures, query and gallery.
        layers: of `LAYERS`.
        draws: how many.
        refilled: features by the layers of few pictures, for "camera".
    """
    camera_id = found["train_camera_id"]
    priors = {name: PRIORS[name] for name in ("target", "camera", "16")} if refilled else PRIORS
    most = np.unique(camera_id, return_counts=True)[1].min()
    result: dict[str, dict] = {}
    for order in ORDERS:
        for number in (number for number in NUMBERS if number <= most):
            rng = np.random.default_rng(number)
            sums: dict[str, list] = {name: [] for name in priors}
            for _ in range(draws):
                rows = drawn(camera_id, number, order, rng)
                every = np.concatenate(list(rows.values()))
                for name, prior in priors.items():
                    share = number / (number + prior)
                    now = refilled(rows, share) if refilled else found
                    of_whole = "target" if refilled else layers
                    whole = moments(now[f"train_{of_whole}"][:, every])
                    mixed = {
                        camera: shrunk(moments(now[f"train_{layers}"][:, few]), whole, share)
                        for camera, few in rows.items()
                    }
                    if refilled is None:  # As the recipe does where layers stay: the mean alone.
                        mixed = {c: (mean, np.ones_like(mean)) for c, (mean, _) in mixed.items()}
                    sums[name].append(precision(now, layers, mixed)[0])
            means = {name: np.mean(each, axis=0) for name, each in sums.items()}
            result.setdefault(order, {})[str(number)] = {
                name: each[np.isfinite(each)].tolist() for name, each in means.items()
            }
    return result

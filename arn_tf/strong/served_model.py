"""What is served of a strong model: embeddings by each picture's camera, row (b) of its tables."""

import numpy as np

from arn_tf.backbones import keras_applications
from arn_tf.served.graph import ServedModel, embedding_space
from arn_tf.strong.model import StrongModel


def served_model(model: StrongModel, precision: str | None = None) -> ServedModel:
    """Returns what the export of a strong model saves.

    A camera that is added or refreshed leaves the embedding space, so that galleries stay good.

    Args:
        model: made with or without a distribution strategy.
        precision: "float32" or "bfloat16" for the arithmetic of E_I, or None for the model's own.
    """
    config = model.get_config()
    own = config["precision"]
    precision = precision or own
    served = model if precision == own else _at_precision(model, precision)

    def reference(images: np.ndarray, camera_id: np.ndarray) -> np.ndarray:
        return model.traced.embeddings(images, model.table.rows_of(camera_id)).numpy()

    named = ("backbone", "input_size", "last_stride", "network")
    facts = {key: config[key] for key in named if key in config}
    return ServedModel(
        # One traced function for all signatures: the network is stored once.
        embed=served.traced.embeddings,
        reference=reference,
        table=served.table,
        camera_names=model.camera_names,
        embedding_space=embedding_space(
            facts | {"preset": "strong", "precision": precision},
            [*model.encoder_i.get_weights(), *model.table.domain_rows()],
        ),
        embedding_dim=model.embedding_dim,
        input_size=model.input_size,
        backbone=config["backbone"],
        precision=precision,
        exact=precision == own == "float32",
    )


def _at_precision(model: StrongModel, precision: str) -> StrongModel:
    other = StrongModel.from_config(model.get_config() | {"precision": precision})
    other.set_weights(model.get_weights())
    # Some layers compute with copies of their statistics.
    keras_applications.copy_weights(model.encoder_i, other.encoder_i)
    return other

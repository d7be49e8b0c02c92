"""The four terms of ARN's objective, as pure functions.

Li et al., "Adaptation and Re-Identification Network: An Unsupervised Deep Transfer Learning
Approach to Person Re-Identification", CVPR 2018 workshops, equations 1 to 5:

    L = L_class + alpha L_ctrs + beta L_rec + gamma L_diff,   alpha 0.01, beta 2.0, gamma 1500

The paper leaves the scale of its sums open. Each function therefore states its reductions and takes
`normalization`:

* `"normalized"`: the one reading that trains with the paper's weights. L_ctrs is a sum over ordered
  pairs of L2-normalised codes, L_rec a mean over every element, L_diff the form of the Domain
  Separation Networks (Bousmalis et al. 2016).
* `"literal"`: the sums as they are printed. With the paper's weights it diverges within ten steps.

Letters in shapes: B pictures in a batch, D code width, h x w x C feature map, K identities.
All results are float32 scalars.
"""

import tensorflow as tf

from arn_tf.paper.constants import NORMALIZATIONS

# Under the square root of a distance, so that its gradient is finite where two codes coincide.
_DISTANCE_EPSILON = 1e-12


def classification(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns L_class, equation 1: mean softmax cross-entropy over the source batch.

    Args:
        logits: float [B, K].
        labels: integers [B], the row of each picture's identity in the classifier.
    """
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    )


def contrastive_of_distances(
    distances: tf.Tensor, same: tf.Tensor, margin: float = 1.0
) -> tf.Tensor:
    """Returns same d^2 + (1 - same) max(0, margin - d)^2 for each pair, unreduced.

    Args:
        distances: float, any shape, not negative.
        same: same shape, 1 where both are one person, else 0.
        margin: distance past which two different persons cost nothing.
    """
    same = tf.cast(same, distances.dtype)
    apart = tf.maximum(margin - distances, 0.0)
    return same * tf.square(distances) + (1.0 - same) * tf.square(apart)


def contrastive(
    codes: tf.Tensor, labels: tf.Tensor, margin: float = 1.0, normalization: str = "normalized"
) -> tf.Tensor:
    """Returns L_ctrs, equation 2: it draws codes of one person together and others apart.

    normalized: sum over ordered pairs i != j of `contrastive_of_distances`, with d the Euclidean
        distance of the L2-normalised codes.
    literal: sum over all ordered pairs and all D entries of
        same (e_i - e_j)^2 + (1 - same) max(0, margin - (e_i - e_j))^2 on the raw codes.

    Args:
        codes: float [B, D], the shared codes e_c of the source batch.
        labels: integers [B].
        margin: m of equation 2; in the normalised reading distances lie in [0, 2].
        normalization: one of `NORMALIZATIONS`.
    """
    same = tf.cast(labels[:, None] == labels[None, :], codes.dtype)
    if _is_literal(normalization):
        difference = codes[:, None, :] - codes[None, :, :]
        apart = tf.maximum(margin - difference, 0.0)
        weight = same[:, :, None]
        return tf.reduce_sum(weight * tf.square(difference) + (1.0 - weight) * tf.square(apart))
    unit = tf.math.l2_normalize(codes, axis=1)
    squared = tf.maximum(2.0 - 2.0 * tf.matmul(unit, unit, transpose_b=True), 0.0)
    pairs = contrastive_of_distances(tf.sqrt(squared + _DISTANCE_EPSILON), same, margin)
    return tf.reduce_sum(pairs * (1.0 - tf.eye(tf.shape(codes)[0], dtype=codes.dtype)))


def reconstruction(
    maps: tf.Tensor, rebuilt: tf.Tensor, normalization: str = "normalized"
) -> tf.Tensor:
    """Returns L_rec of one domain, equation 3: squared error of the decoder.

    normalized: mean over batch, positions and channels.
    literal: sum over batch, positions and channels.

    Args:
        maps: float [B, h, w, C], the target; the caller detaches it while E_I trains, because the
            loss could otherwise fall by flattening the map.
        rebuilt: same shape, the decoder's output.
        normalization: one of `NORMALIZATIONS`.

    Raises:
        ValueError: the shapes differ.
    """
    # Shapes that merely broadcast would give a loss too.
    maps.shape.assert_is_compatible_with(rebuilt.shape)
    error = tf.square(maps - rebuilt)
    return tf.reduce_sum(error) if _is_literal(normalization) else tf.reduce_mean(error)


def difference(
    shared: tf.Tensor, private: tf.Tensor, normalization: str = "normalized"
) -> tf.Tensor:
    """Returns L_diff of one domain, equations 4 and 5: the overlap of shared and private codes.

    normalized: both are centred over the batch, their rows scaled to unit length, and the squared
        entries of P^T C (D x D) averaged, as in the Domain Separation Networks.
    literal: ||C^T P||_F^2 of the raw codes.

    Neither forms the D x D product: ||P^T C||_F^2 = sum_ab <p_a, p_b> <c_a, c_b>, two B x B Gram
    matrices.

    Args:
        shared: float [B, Dc], e_c of one domain.
        private: float [B, Dp], e_p of the same pictures.
        normalization: one of `NORMALIZATIONS`.
    """
    if _is_literal(normalization):
        return _squared_product_norm(shared, private)
    shared = tf.math.l2_normalize(shared - tf.reduce_mean(shared, axis=0), axis=1)
    private = tf.math.l2_normalize(private - tf.reduce_mean(private, axis=0), axis=1)
    entries = tf.cast(tf.shape(shared)[1] * tf.shape(private)[1], shared.dtype)
    return _squared_product_norm(shared, private) / entries


def _squared_product_norm(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    gram_left = tf.matmul(left, left, transpose_b=True)
    gram_right = tf.matmul(right, right, transpose_b=True)
    return tf.reduce_sum(gram_left * gram_right)


def _is_literal(normalization: str) -> bool:
    if normalization not in NORMALIZATIONS:
        raise ValueError(
            f"normalization must be one of {NORMALIZATIONS}, received: {normalization!r}"
        )
    return normalization == "literal"

"""Scores a model on labelled held-out identities of the source, as a stand-in for the target.

The source data set's own query and gallery splits hold identities that training never saw.
Embed them as the source is embedded everywhere, by the running statistics. Its mAP is
known for certain, but of another place; two functions weigh it towards pictures that look like
the target's.
"""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from arn_tf.ranking import arguments
from arn_tf.ranking.arguments import units_of


def weighted_mean(average_precision: np.ndarray, weights: np.ndarray) -> float:
    """Returns the weighted mAP over valid queries; HIGHER is better.

    With equal weights it is the source validation of HyPASS (Dubourvieux et al., IEEE Access
    2021): mAP on held-out identities of the source.

    Args:
        average_precision: real [Q], NaN for a query without a match, as in `RankingResult`.
        weights: real [Q], at least 0; not all 0 for valid queries.
    """
    precision = np.asarray(average_precision, np.float64)
    weights = np.asarray(weights, np.float64)
    if precision.ndim != 1 or precision.shape != weights.shape:
        raise ValueError(
            f"weights must be one per query, not {weights.shape} for {precision.shape}"
        )
    valid = np.isfinite(precision)
    if not valid.any() or (weights[valid] < 0).any() or not weights[valid].sum() > 0:
        raise ValueError("weights must be at least 0, and above 0 for a query with a match")
    return float(np.average(precision[valid], weights=weights[valid]))


def density_ratio(source: np.ndarray, target: np.ndarray, validation: np.ndarray) -> np.ndarray:
    """Returns the density ratio target / source of each embedding, float64 [V].

    By a logistic regression of the domain (You et al., "Towards Accurate Model
    Selection in Deep Unsupervised Domain Adaptation", ICML 2019; there by a small network).
    Embeddings are taken at unit length, and the penalty is scikit-learn's.

    Args:
        source: real [S, D], other pictures of the source than `validation`.
        target: real [T, D], of the target's training pictures.
        validation: real [V, D].
    """
    parts = [
        units_of(name, value)
        for name, value in (("source", source), ("target", target), ("validation", validation))
    ]
    if len({part.shape[1] for part in parts}) > 1:
        raise ValueError(f"embeddings differ in width: {[part.shape[1] for part in parts]}")
    both = np.concatenate(parts[:2])
    is_target = np.arange(len(both)) >= len(parts[0])
    classifier = LogisticRegression(max_iter=1000).fit(both, is_target)
    log_odds = classifier.decision_function(parts[2])
    return np.exp(log_odds) * len(parts[0]) / len(parts[1])


def dev_risk(risk: np.ndarray, ratio: np.ndarray) -> float:
    """Returns the importance-weighted risk with control variate; LOWER is better.

    Deep embedded validation (You et al., ICML 2019, algorithm 1): mean(w l) + eta mean(w) - eta
    with eta = -cov(w l, w) / var(w).

    Args:
        risk: real [V], l, such as 1 - AP of a held-out query; NaN is left out.
        ratio: real [V], w, of `density_ratio`.
    """
    risk, ratio = np.asarray(risk, np.float64), np.asarray(ratio, np.float64)
    if risk.ndim != 1 or risk.shape != ratio.shape:
        raise ValueError(f"ratio must be one per risk, not {ratio.shape} for {risk.shape}")
    valid = np.isfinite(risk)
    if np.count_nonzero(valid) < 2:
        raise ValueError("dev_risk needs two queries with a match or more")
    risk, ratio = risk[valid], ratio[valid]
    weighted = ratio * risk
    variance = np.var(ratio, ddof=1)
    eta = -np.cov(weighted, ratio)[0, 1] / variance if variance > 0 else 0.0
    return float(weighted.mean() + eta * ratio.mean() - eta)


def proxy_weights(
    source: np.ndarray,
    person_id: np.ndarray,
    target: np.ndarray,
    *,
    groups: int = 20,
    components: int = 16,
    seed: int = 0,
) -> np.ndarray:
    """Returns weights of held-out source identities by their closeness to the target: float64 [S].

    After the proxy set of Sun et al., "Ranking Models in Unlabeled New Environments" (ICCV
    2021): identities are grouped by k-means; a group counts by softmax of the negative Frechet
    distance to the target. They draw whole identities with these odds; here every picture has
    its group's, so that nothing is left to a draw. All candidates must share the weights, so
    the embeddings come from a network that is none of them, as there: the untrained one.

    Args:
        source: real [S, D].
        person_id: integers [S].
        target: real [T, D], of the target's training pictures.
        groups: of identities; at most half as many as there are identities.
        components: principal components that the distance is taken in.
        seed: of k-means.

    Returns:
        weights, summing to S.
    """
    source, target = units_of("source", source), units_of("target", target)
    person = arguments.ids("person_id", person_id, source)
    persons, inverse = np.unique(person, return_inverse=True)
    components = min(components, len(target) - 1, source.shape[1])
    pca = PCA(components, random_state=seed).fit(np.concatenate([source, target]))
    source, target = pca.transform(source), pca.transform(target)
    counts = np.bincount(inverse)[:, np.newaxis]
    centres = np.zeros((len(persons), components))
    np.add.at(centres, inverse, source)
    grouping = KMeans(min(groups, max(1, len(persons) // 2)), n_init=10, random_state=seed)
    group = grouping.fit(centres / counts).labels_[inverse]
    distance = np.array([_frechet(source[group == each], target) for each in np.unique(group)])
    odds = np.exp((distance.min() - distance) / max(distance.std(), 1e-12))
    weights = odds[group]
    return weights * len(weights) / weights.sum()


def _frechet(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the Frechet distance of two sets as Gaussians with independent components."""
    means = np.sum((first.mean(axis=0) - second.mean(axis=0)) ** 2)
    return means + np.sum((first.std(axis=0) - second.std(axis=0)) ** 2)

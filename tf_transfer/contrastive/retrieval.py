"""How well one side finds its match on the other: recall at k."""

import math

import numpy as np

from tf_transfer import _checks

# Rows of the table of similarities that are in memory at a time.
_ROWS = 1024


def recall_at_k(queries, candidates, k=1, *, query_groups=None, candidate_groups=None):
    """Returns the part of queries that have a match among their k nearest candidates, by cosine.

    Candidates that are equally near come in random order, as it were: a query of which a match is tied with others
    counts with the probability that one is among the first k. So embeddings that are all equal do not look perfect.

    Args:
        queries: Float array of shape `(num_queries, dim)`.
        candidates: Float array of shape `(num_candidates, dim)`.
        k: Integer of at least 1. Defaults to 1.
        query_groups: Array of shape `(num_queries,)`, such as classes; a candidate of the same group is a match.
            Defaults to None: query i and candidate i match.
        candidate_groups: Array of shape `(num_candidates,)`. Defaults to `query_groups`.

    Returns:
        A float in [0, 1].

    Raises:
        ValueError: For shapes that do not fit, or a query without a match.

    Example:

    >>> images, texts = np.eye(3), np.array([[1.0, 0.2, 0.0], [1.0, 0.1, 0.0], [0.0, 0.0, 1.0]])
    >>> [round(tft.contrastive.recall_at_k(images, texts, k), 4) for k in (1, 2)]
    [0.3333, 1.0]
    >>> round(tft.contrastive.recall_at_k(np.ones((4, 2)), np.ones((4, 2))), 4)
    0.25

    Reference:
        McSherry and Najork, 2008, on ties: https://doi.org/10.1007/978-3-540-78646-7_38
    """
    k = _checks.integer(k, "k", 1)
    queries, candidates = _unit(queries, "queries"), _unit(candidates, "candidates")
    wanted, offered = _groups(query_groups, candidate_groups, len(queries), len(candidates))
    if queries.shape[1] != candidates.shape[1]:
        raise ValueError(f"Both must have one width. Received: {queries.shape} and {candidates.shape}.")
    lonely = np.flatnonzero(~np.isin(wanted, offered))
    if len(lonely):
        raise ValueError(f"Each query must have a match. Received: none for query {lonely[0]}.")
    found = 0.0
    for start in range(0, len(queries), _ROWS):
        scores = queries[start : start + _ROWS] @ candidates.T
        match = wanted[start : start + _ROWS, None] == offered[None]
        found += sum(_chance(row, matches, k) for row, matches in zip(scores, match, strict=True))
    return found / len(queries)


def retrieval_recall(model, x, ks=(1, 5, 10), *, groups=None, batch_size=32):
    """Returns recall at k of a contrastive model on pairs, in both directions.

    Args:
        model: `tft.ContrastiveModel`.
        x: Dict of the inputs of both sides, arrays of as many examples, or a `tf.data.Dataset` of batches of such
            dicts; of batches (x, groups) too, unless `groups` is given.
        ks: Sequence of integers of at least 1. Defaults to `(1, 5, 10)`.
        groups: Array of shape `(num_examples,)`; examples of one group match each other. Defaults to None: each
            matches its own other side.
        batch_size: Integer, of arrays. Defaults to 32.

    Returns:
        Dict of floats, such as `{"image_to_text_recall_at_1": 0.8, ...}`.

    Example:

    >>> sides = {name: keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, kernel_initializer="identity")])
    ...          for name in ("image", "text")}
    >>> tft.contrastive.retrieval_recall(tft.ContrastiveModel(sides), {"image": np.eye(3), "text": np.eye(3)}, ks=[1])
    {'image_to_text_recall_at_1': 1.0, 'text_to_image_recall_at_1': 1.0}
    """
    if isinstance(x, dict):
        embeddings = model.predict(x, batch_size=batch_size, verbose=0)
    else:
        embeddings, found = _embedded(model, x)
        groups = found if groups is None else groups
    one, other = model.sides
    return {
        f"{asking}_to_{answering}_recall_at_{k}": recall_at_k(
            embeddings[asking], embeddings[answering], k, query_groups=groups
        )
        for asking, answering in ((one, other), (other, one))
        for k in ks
    }


def _embedded(model, batches):
    """Returns the embeddings of a dataset, and its groups or None, read in one pass."""
    sides, groups = {side: [] for side in model.sides}, []
    for batch in batches:
        x, *rest = batch if isinstance(batch, tuple) else (batch,)
        for side, values in model.predict_on_batch(x).items():
            sides[side].append(values)
        groups += [np.ravel(rest[0])] if rest else []
    embeddings = {side: np.concatenate(values) for side, values in sides.items()}
    return embeddings, np.concatenate(groups) if groups else None


def _chance(scores, is_match, k):
    """Returns the probability that a match is among the first k, where equal scores come in random order."""
    best = scores[is_match].max()
    # Products of the same vectors differ in their last digits from one row of a matrix to another.
    tied = np.abs(scores - best) <= 1e-6
    places = k - int(np.sum((scores > best) & ~tied))
    num_tied, num_matches = int(tied.sum()), int((tied & is_match).sum())
    if places <= 0:
        return 0.0
    places = min(places, num_tied)
    return 1.0 - math.comb(num_tied - num_matches, places) / math.comb(num_tied, places)


def _unit(rows, name):
    rows = np.asarray(rows, "float64")
    if rows.ndim != 2 or not len(rows):
        raise ValueError(f"`{name}` must be embeddings of shape (num, dim). Received: shape {rows.shape}.")
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _groups(queries, candidates, num_queries, num_candidates):
    if queries is None and candidates is None:
        queries, candidates = np.arange(num_queries), np.arange(num_candidates)
    elif queries is None:
        raise ValueError("`candidate_groups` needs `query_groups`. Received: query_groups=None.")
    queries = np.asarray(queries)
    candidates = queries if candidates is None else np.asarray(candidates)
    if (queries.shape, candidates.shape) != ((num_queries,), (num_candidates,)):
        raise ValueError(
            f"Groups must have shapes ({num_queries},) and ({num_candidates},). "
            f"Received: {queries.shape} and {candidates.shape}."
        )
    return queries, candidates

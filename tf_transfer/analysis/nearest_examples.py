"""Examples that a model sees as most like others."""

import numpy as np

from tf_transfer import _checks


def nearest_examples(encoder, queries, examples, *, num_neighbors=5, batch_size=64):
    """Finds the examples that a model sees as most like others, such as training images like a mistaken one.

    Args:
        encoder: `keras.Model` from inputs to features, such as `tft.backbones.split_at_backbone(model)[0]`; maps are
            flattened.
        queries: Array of inputs, or dict of arrays.
        examples: The same of the examples to look among, such as those that the model was trained on.
        num_neighbors: Integer. Defaults to 5.
        batch_size: Integer, examples at once. Defaults to 64.

    Returns:
        A pair of arrays of shape `(num_queries, num_neighbors)`: the places in `examples`, nearest first, and the
        cosines of the features.

    Raises:
        ValueError: When there are fewer examples than neighbors.

    Example:

    >>> encoder = keras.Sequential([keras.Input((2,)), keras.layers.Rescaling(2.0)])
    >>> places, cosines = tft.analysis.nearest_examples(encoder, [[1.0, 1.0]], np.eye(2) + 0.1, num_neighbors=1)
    >>> places.shape, round(float(cosines[0, 0]), 3)
    ((1, 1), 0.768)
    """
    from sklearn.neighbors import NearestNeighbors

    _checks.integer(num_neighbors, "num_neighbors", 1)
    sides = (encoder.predict(_arrays(each), batch_size=batch_size, verbose=0) for each in (queries, examples))
    asked, known = (each.reshape(len(each), -1) for each in sides)
    if len(known) < num_neighbors:
        raise ValueError(f"`num_neighbors` must be at most the number of examples, {len(known)}: {num_neighbors}.")
    found = NearestNeighbors(n_neighbors=num_neighbors, metric="cosine").fit(known)
    distances, places = found.kneighbors(asked)
    return places, 1.0 - distances


def _arrays(inputs):
    return inputs if isinstance(inputs, dict) else np.asarray(inputs)

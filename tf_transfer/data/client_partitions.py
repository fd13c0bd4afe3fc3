"""The examples of a data set, dealt out to clients of federated learning."""

import numpy as np

from tf_transfer import _checks
from tf_transfer.data.class_folder import ClassFolder

_DRAWS = 100


def partition_clients(y, num_clients, skew=None, *, shards_per_client=2, alpha=0.5, min_examples=1, seed=0):
    """Deals the examples of a data set out to clients, alike or with classes of their own.

    Every example goes to exactly one client.

    - `skew=None`: at random, in parts of the same size, up to one example.
    - `skew="shards"`: sorted by label and cut into `num_clients * shards_per_client` shards of the same size, of which
      each client gets some at random (McMahan et al., 2017). With two, most clients know two classes.
    - `skew="dirichlet"`: of each class the clients get parts that are drawn from a Dirichlet distribution of `alpha`
      (Yurochkin et al., 2019): the smaller, the fewer clients share a class. Clients have different sizes.

    Args:
        y: Array `(num_examples,)`, the label of each example, or an `ImageFolder` or `AudioFolder`. Integers for
            "dirichlet", else anything that can be sorted.
        num_clients: Integer of at least 1.
        skew: "shards", "dirichlet", or None for parts that are alike. Defaults to None.
        shards_per_client: Integer of at least 1, for "shards". Defaults to 2.
        alpha: Float above 0, for "dirichlet". Defaults to 0.5.
        min_examples: Integer of at least 1, how many examples each client has at least. "dirichlet" draws again until
            it is so. Defaults to 1.
        seed: Integer, the same seed gives the same parts. Defaults to 0.

    Returns:
        A list of sorted int64 arrays, the indices of the examples of each client.

    Raises:
        ValueError: When there are too few examples for so many clients.

    Example:

    >>> y = np.arange(12) // 3
    >>> parts = tft.data.partition_clients(y, 2, "shards", seed=1)
    >>> [y[part].tolist() for part in parts]
    [[1, 1, 1, 3, 3, 3], [0, 0, 0, 2, 2, 2]]

    Reference:
        McMahan et al., 2017, https://arxiv.org/abs/1602.05629; Yurochkin et al., 2019,
        https://arxiv.org/abs/1905.12022
    """
    y = y.labels if isinstance(y, ClassFolder) else np.asarray(y)
    if y.ndim != 1:
        raise ValueError(f"`y` must have one label an example, shape (num_examples,). Received: shape {y.shape}.")
    _checks.integer(num_clients, "num_clients", 1)
    _checks.integer(min_examples, "min_examples", 1)
    rng = np.random.default_rng(_checks.integer(seed, "seed", 0))
    if _checks.one_of(skew, "skew", [None, "shards", "dirichlet"]) == "dirichlet":
        parts = _dirichlet(rng, y, num_clients, _checks.positive(alpha, "alpha"), min_examples)
    elif skew == "shards":
        parts = _shards(rng, y, num_clients, _checks.integer(shards_per_client, "shards_per_client", 1))
    else:
        parts = np.array_split(rng.permutation(len(y)), num_clients)
    if min(map(len, parts)) < min_examples:
        raise _too_few(y, num_clients, min_examples)
    return [np.sort(part) for part in parts]


def _shards(rng, y, num_clients, shards_per_client):
    # Which examples of a class stand together is drawn, not left to their order in the file.
    order = rng.permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    shards = np.array_split(order, num_clients * shards_per_client)
    dealt = rng.permutation(len(shards)).reshape(num_clients, shards_per_client)
    return [np.concatenate([shards[number] for number in numbers]) for numbers in dealt]


def _dirichlet(rng, y, num_clients, alpha, min_examples):
    if y.dtype.kind not in "iu":
        raise ValueError(f"`y` must be integers for skew='dirichlet', which deals out classes. Received: {y.dtype}.")
    classes = [np.flatnonzero(y == label) for label in np.unique(y)]
    if len(y) < num_clients * min_examples:
        raise _too_few(y, num_clients, min_examples)
    for _ in range(_DRAWS):
        parts = [[] for _ in range(num_clients)]
        for members in classes:
            ends = np.rint(np.cumsum(rng.dirichlet(np.full(num_clients, alpha)))[:-1] * len(members)).astype(int)
            for part, given in zip(parts, np.split(rng.permutation(members), ends), strict=True):
                part.append(given)
        parts = [np.concatenate(part) for part in parts]
        if min(map(len, parts)) >= min_examples:
            return parts
    raise ValueError(
        f"In {_DRAWS} draws with alpha={alpha:g} a client had fewer than min_examples={min_examples} of the {len(y)} "
        "examples each time. Take a larger `alpha`, or fewer clients."
    )


def _too_few(y, num_clients, min_examples):
    return ValueError(
        f"{len(y)} examples are too few for num_clients={num_clients} with min_examples={min_examples}. Take fewer "
        "clients."
    )

"""Co-training: two classifiers of two views of the same things, each of which labels examples for the other."""

import keras
import numpy as np
import tensorflow as tf

from tf_transfer import _checks
from tf_transfer.data import check_labels
from tf_transfer.training import with_logits
from tf_transfer.training.logits import check_class_loss


class CoTraining:
    """Co-training of two plain Keras models, each of which sees one of two views of every example.

    The views are two descriptions of one thing, each enough to tell its class: the words of a page and those of the
    links to it, a picture and its caption, two groups of columns. In each round both models are trained on the labelled
    examples; then each labels those of a pool of unlabelled examples that it is surest of, `num_added` of each class,
    and these join the labelled ones of both. What one finds easy teaches the other what it finds hard. Where they are
    sure of different labels for one example, it stays unlabelled.

    Args:
        first: Compiled functional or sequential `keras.Model` with one input, a classifier of the first view; see
            `tft.training.with_logits`. It is trained in place.
        second: The same for the second view.
        num_rounds: Positive integer, the most rounds. It ends sooner when there is nothing left to label. Defaults to
            30, as in the paper.
        num_added: Positive integer, the examples of each class that each model labels in a round; or a list with one
            for each class, in proportion to how frequent they are, as in the paper. Defaults to 1.
        pool_size: Positive integer, the unlabelled examples to choose from in a round, refilled at random; small pools
            keep the choice representative. None: all. Defaults to 75, as in the paper.
        restart: Boolean, whether the models begin each round with the weights that they had at first, instead of those
            that they have. Defaults to False.
        seed: Integer or None, of the pool and of the order of the examples. Defaults to None.

    Attributes:
        history_: Dict of lists with an entry a round: "num_labelled" at its begin, "num_added", and "agreement", the
            share of the pool for which both guess the same class.

    Raises:
        ValueError: When the models are not compiled, have several inputs, or not the same number of classes.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(200) % 2
    >>> views = [rng.normal(size=(200, 2)) + 3.0 * y[:, None] for _ in range(2)]
    >>> models = [keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation="softmax")]) for _ in range(2)]
    >>> for model in models:
    ...     model.compile("adam", "sparse_categorical_crossentropy")
    >>> training = tft.semi_supervised.CoTraining(*models, num_rounds=3, seed=0)
    >>> few, many = [view[:10] for view in views], [view[10:] for view in views]
    >>> training.fit(few, y[:10], many, epochs=2, verbose=0).history_["num_labelled"][0]
    10
    >>> training.deployable().predict({"first": many[0], "second": many[1]}, verbose=0).shape
    (190, 2)

    Reference:
        Blum and Mitchell, 1998, Combining labeled and unlabeled data with co-training, COLT,
        https://doi.org/10.1145/279943.279962
    """

    def __init__(self, first, second, *, num_rounds=30, num_added=1, pool_size=75, restart=False, seed=None):
        self.models = (_checked(first, "first"), _checked(second, "second"))
        self._twins = tuple(with_logits(model) for model in self.models)
        classes = [twin.outputs[1].shape[-1] for twin in self._twins]
        if classes[0] != classes[1]:
            raise ValueError(
                f"`first` and `second` must have the same classes. Received: {classes[0]} and {classes[1]}."
            )
        self.num_classes = classes[0]
        self.num_rounds = _checks.integer(num_rounds, "num_rounds", minimum=1)
        self.num_added = self._of_each_class(num_added)
        self.pool_size = None if pool_size is None else _checks.integer(pool_size, "pool_size", minimum=1)
        self.restart = _checks.one_of(restart, "restart", [False, True])
        self.seed = seed if seed is None else _checks.integer(seed, "seed", minimum=0)
        self.history_ = {}

    def fit(self, x, y, unlabelled, *, epochs=1, batch_size=32, verbose=1):
        """Trains both models, in rounds, and a last time on all that is labelled by then.

        Args:
            x: Pair of arrays, the two views of the labelled examples.
            y: Labels as the models' losses take them, integers or one-hot.
            unlabelled: Pair of arrays, the two views of the unlabelled examples.
            epochs: Positive integer, of each model in each round. Defaults to 1.
            batch_size: Positive integer. Defaults to 32.
            verbose: 0 for silence, 1 for a line a round. Defaults to 1.

        Returns:
            This object.
        """
        views, rest = _pair(x, "x", len(y)), _pair(unlabelled, "unlabelled")
        labels = check_labels(y, self.num_classes)
        self._one_hot = np.ndim(y) == 2 and np.shape(y)[1] == self.num_classes
        starts = [_state(model) for model in self.models]
        rng = np.random.default_rng(self.seed)
        left, taken, found = rng.permutation(len(rest[0])), np.zeros(0, int), np.zeros(0, int)
        self.history_ = {"num_labelled": [], "num_added": [], "agreement": []}
        options = {"epochs": epochs, "batch_size": batch_size}
        for number in range(self.num_rounds + 1):
            everything = [np.concatenate([own, more[taken]]) for own, more in zip(views, rest, strict=True)]
            known = np.concatenate([labels, found])
            self._train(everything, known, starts, rng, **options)
            pool = left[: self.pool_size]
            if not len(pool) or number == self.num_rounds:
                break
            chosen, guesses, agreement = self._label([view[pool] for view in rest], batch_size)
            self._note(len(known), len(chosen), agreement, number, verbose)
            if not len(chosen):
                break
            taken, found = np.concatenate([taken, pool[chosen]]), np.concatenate([found, guesses])
            left = left[~np.isin(left, pool[chosen])]
        return self

    def deployable(self):
        """Returns one plain Keras model of both: the product of their class probabilities, scaled to a sum of 1.

        It takes a dict of both views, {"first": ..., "second": ...}, and shares the layers of the models.
        """
        inputs, logits = {}, []
        for name, twin in zip(("first", "second"), self._twins, strict=True):
            given = twin.inputs[0]
            inputs[name] = keras.Input(batch_shape=given.shape, dtype=given.dtype, name=name)
            logits.append(keras.Model(given, twin.outputs[1], name=f"{name}_logits")(inputs[name]))
        # The product of softmaxes is, up to its scale, the softmax of the sum.
        total = keras.layers.Add(name="logits", dtype="float32")(logits)
        scores = keras.layers.Activation("softmax", name="scores", dtype="float32")(total)
        model = keras.Model(inputs, scores, name="co_trained")
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        # Its state is in a file of the model then, as a file of a model with an optimizer is expected to have.
        model.optimizer.build(model.trainable_variables)
        return model

    def _train(self, views, labels, starts, rng, epochs, batch_size):
        y = np.eye(self.num_classes, dtype="float32")[labels] if self._one_hot else labels
        order = rng.permutation(len(labels))
        for model, view, start in zip(self.models, views, starts, strict=True):
            if self.restart:
                _restore(model, start)
            model.fit(view[order], y[order], epochs=epochs, batch_size=batch_size, shuffle=False, verbose=0)

    def _label(self, pool, batch_size):
        """Returns the examples of a pool that get a label, the labels, and how often the models agree."""
        scores = [
            tf.nn.softmax(twin.predict(view, batch_size=batch_size, verbose=0)[1]).numpy()
            for twin, view in zip(self._twins, pool, strict=True)
        ]
        guesses = [each.argmax(1) for each in scores]
        found = np.full((2, len(scores[0])), -1)
        for own, guess, score in zip(found, guesses, scores, strict=True):
            for label, count in enumerate(self.num_added):
                members = np.flatnonzero(guess == label)
                own[members[np.argsort(-score[members, label], kind="stable")[:count]]] = label
        labels = found.max(0)
        agreed = (found < 0).any(0) | (found[0] == found[1])
        chosen = np.flatnonzero((labels >= 0) & agreed)
        return chosen, labels[chosen], float(np.mean(guesses[0] == guesses[1]))

    def _note(self, num_labelled, num_added, agreement, number, verbose):
        entries = {"num_labelled": num_labelled, "num_added": num_added, "agreement": agreement}
        for name, value in entries.items():
            self.history_[name].append(value)
        if verbose:
            print(
                f"Round {number + 1}/{self.num_rounds}: {num_labelled} labelled, {num_added} more; "
                f"the models agree on {agreement:.0%} of the pool."
            )

    def _of_each_class(self, given):
        counts = list(given) if isinstance(given, list | tuple) else [given] * self.num_classes
        if len(counts) != self.num_classes:
            raise ValueError(
                f"`num_added` must have one number for each of {self.num_classes} classes. Received: {given}."
            )
        return [_checks.integer(count, "num_added", minimum=1) for count in counts]


def _checked(model, name):
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None) or len(model.inputs) != 1:
        raise ValueError(
            f"`{name}` must be a functional or sequential keras.Model with one input. Received: {model!r}. A "
            "sequential model is built when it starts with `keras.Input(shape)`."
        )
    if not model.compiled or model.loss is None:
        raise ValueError(
            f"`{name}` must be compiled with a loss on classes. Call `compile` first. Received: {model!r}."
        )
    check_class_loss(model, model.loss, "CoTraining")
    return model


def _pair(views, name, length=None):
    pair = [np.asarray(view) for view in views] if isinstance(views, list | tuple) else []
    lengths = [len(view) for view in pair]
    if len(pair) != 2 or len({*lengths, lengths[0] if length is None else length}) != 1:
        wanted = "of the same length" if length is None else f"of {length} examples, as many as `y`"
        raise ValueError(
            f"`{name}` must be a pair of arrays, one a view, {wanted}. Received: {len(pair)} of {lengths}."
        )
    return pair


def _state(model):
    model.optimizer.build(model.trainable_variables)
    return [variable.numpy() for variable in (*model.variables, *model.optimizer.variables)]


def _restore(model, state):
    for variable, value in zip((*model.variables, *model.optimizer.variables), state, strict=True):
        variable.assign(value)

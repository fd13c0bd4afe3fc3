"""The layers on top of a backbone: hidden units, dropout, and an output that is float32 whatever the policy."""

import keras

_FLOAT32 = "float32"


def classification_head(
    features, num_classes, *, hidden_units=(), dropout=0.0, l2=0.0, multi_label=False, seed=None, name=None
):
    """Puts a classifier on features.

    Args:
        features: Tensor of shape `(batch, ..., dim)`; feature maps are flattened.
        num_classes: Integer, number of classes.
        hidden_units: Sequence of integers, units of the hidden layers, none by default.
        dropout: Float in [0, 1), rate in front of each dense layer. Defaults to 0.
        l2: Float, weight of the squared norm of each dense kernel. Defaults to 0.
        multi_label: Boolean, whether an image may carry several classes: sigmoid instead of softmax.
        seed: Integer or None, of the hidden kernels and the dropout; the last kernel starts at zero.
        name: String, the name of the output where a model has several heads; the other layers have it, and "_", in
            front of their names. Defaults to None: "scores".

    Returns:
        Tensor of scores, shape `(batch, num_classes)`, float32, from a layer named "scores" on one named "logits".

    Example:

    >>> features = keras.Input((8,))
    >>> scores = tft.builders.classification_head(features, num_classes=3, hidden_units=[16])
    >>> [layer.name for layer in keras.Model(features, scores).layers[1:]]
    ['dropout_1', 'hidden_1', 'dropout', 'logits', 'scores']
    """
    prefix = _prefix(name)
    hidden = hidden_layers(features, hidden_units, dropout, l2, seed, prefix)
    logits = _output(num_classes, f"{prefix}logits", l2)(hidden)
    activation = "sigmoid" if multi_label else "softmax"
    return keras.layers.Activation(activation, name=name or "scores", dtype=_FLOAT32)(logits)


def regression_head(
    features,
    num_outputs,
    *,
    hidden_units=(),
    dropout=0.0,
    l2=0.0,
    target_mean=0.0,
    target_std=1.0,
    seed=None,
    name=None,
):
    """Puts a regressor on features.

    Args:
        features: Tensor of shape `(batch, ..., dim)`; feature maps are flattened.
        num_outputs: Integer, number of predicted values.
        hidden_units: Sequence of integers, units of the hidden layers, none by default.
        dropout: Float in [0, 1), rate in front of each dense layer. Defaults to 0.
        l2: Float, weight of the squared norm of each dense kernel. Defaults to 0.
        target_mean: Float, in the unit of the target, what an output of 0 of the last dense layer stands for.
        target_std: Float, in the unit of the target, what an output of 1 adds to it.
        seed: Integer or None, of the hidden kernels and the dropout; the last kernel starts at zero.
        name: String, as in `classification_head`. Defaults to None: "predictions".

    Returns:
        Tensor of shape `(batch, num_outputs)`, float32, from a layer named "predictions".

    Example:

    >>> features = keras.Input((8,))
    >>> model = keras.Model(features, tft.builders.regression_head(features, 1, target_mean=40.0))
    >>> model(np.ones((1, 8))).numpy().tolist()
    [[40.0]]
    """
    prefix = _prefix(name)
    hidden = hidden_layers(features, hidden_units, dropout, l2, seed, prefix)
    standard = _output(num_outputs, f"{prefix}standardized", l2)(hidden)
    return keras.layers.Rescaling(target_std, offset=target_mean, name=name or "predictions", dtype=_FLOAT32)(standard)


def _prefix(name):
    return f"{name}_" if name else ""


def hidden_layers(features, hidden_units=(), dropout=0.0, l2=0.0, seed=None, prefix=""):
    """Returns features behind the hidden layers and the dropout of a head; see `classification_head`.

    Args:
        features: Tensor of shape `(batch, ..., dim)`.
        hidden_units: As there.
        dropout: As there.
        l2: As there.
        seed: As there.
        prefix: String in front of the names of the layers.
    """
    if len(features.shape) > 2:
        features = keras.layers.Flatten(name=f"{prefix}flatten")(features)
    for i, units in enumerate(hidden_units, start=1):
        features = _dropout(dropout, f"{prefix}dropout_{i}", seed)(features)
        features = keras.layers.Dense(
            units,
            activation="relu",
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
            kernel_regularizer=_regularizer(l2),
            name=f"{prefix}hidden_{i}",
        )(features)
    return _dropout(dropout, f"{prefix}dropout", seed)(features)


def _dropout(rate, name, seed):
    return keras.layers.Dropout(rate, name=name, seed=seed)


def _output(units, name, l2):
    # From zero the first predictions are even, and no random projection of wide features has to be unlearned first.
    return keras.layers.Dense(
        units, kernel_initializer="zeros", kernel_regularizer=_regularizer(l2), name=name, dtype=_FLOAT32
    )


def _regularizer(l2):
    return keras.regularizers.L2(l2) if l2 else None

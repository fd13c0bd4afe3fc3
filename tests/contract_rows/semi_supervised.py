"""What each public object of `tft.semi_supervised` holds beyond its docstring."""

import functools

import keras
import numpy as np

import tf_transfer as tft

import contract_parts as parts
import contracts
from contract_parts import check_refuses
from contract_registry import row

X, Y = np.random.default_rng(0).normal(size=(24, 4)).astype("float32"), np.arange(24) % 3


def network():
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.BatchNormalization(), keras.layers.Dense(3, activation="softmax")]
    )


def batches(**options):
    return tft.data.pair_labelled((X[:6], Y[:6]), X, 3, ratio=2, seed=0, **options)


def compiled(method, **options):
    model = method(network(), **options)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def check_semi_supervised(method, **options):
    """Holds what each method has to: a configuration, and what it can't use is refused."""
    parts.check_config(functools.partial(method, network(), batch_statistics="labelled", **options))
    made = compiled(method, **options)
    check_refuses(lambda: made.fit(X, Y, verbose=0), "tft.data.pair_labelled", method.__name__, "Received: ")
    check_refuses(lambda: method(network(), batch_statistics="batch", **options), "`batch_statistics`", "'interleaved'")


@row("semi_supervised.PseudoLabel")
def _(pseudo_label):
    check_semi_supervised(pseudo_label, unlabelled_weight=tft.schedules.linear(0.0, 2.0), threshold=0.3)
    check_refuses(lambda: pseudo_label(network(), threshold=1.5), "`threshold`", "from 0.0 to 1.0")
    named = keras.Input((4,), name="labelled")
    check_refuses(lambda: pseudo_label(keras.Model(named, keras.layers.Dense(3)(named))), "['labelled']")


@row("semi_supervised.FixMatch")
def _(fix_match):
    check_semi_supervised(fix_match, threshold=0.4)
    check_refuses(lambda: compiled(fix_match).fit(batches(), verbose=0), "strong='cutout'")


@row("semi_supervised.FlexMatch")
def _(flex_match):
    options = {"num_unlabelled": 24, "threshold": 0.4, "mapping": "linear", "warm_up": False}
    check_semi_supervised(flex_match, **options)
    # Pseudo-labels and FixMatch are what it is made of.
    stream = batches(strong=lambda x: 0.9 * x, index=True)
    contracts.check_method(functools.partial(compiled, flex_match, **options), stream, X, Y)
    made = compiled(flex_match, num_unlabelled=24)
    check_refuses(lambda: made.fit(batches(strong=lambda x: x), verbose=0), "index=True")
    check_refuses(lambda: flex_match(network(), 24, mapping="square"), "`mapping`", "'convex'")


@row("semi_supervised.MeanTeacher")
def _(mean_teacher):
    options = {"consistency_weight": 2.0, "momentum": tft.schedules.linear(0.5, 0.9), "teacher_statistics": "average"}
    check_semi_supervised(mean_teacher, **options)
    contracts.check_method(functools.partial(compiled, mean_teacher, **options), batches(), X, Y)
    check_refuses(lambda: mean_teacher(network(), momentum=1.5), "`momentum`", "from 0.0 to 1.0")


@row("semi_supervised.SemiSupervisedModel", example_in="semi_supervised.PseudoLabel")
def _(model):
    made = model(network(), 1.0)
    made.compile("adam", "mse")
    check_refuses(lambda: model(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]), 1.0), "logits")
    try:
        made.fit(batches(), verbose=0)
    except NotImplementedError as error:
        assert "must define `objective`" in str(error)
    else:
        raise AssertionError("A model without an objective trained.")


@row("semi_supervised.CoTraining")
def _(co_training):
    def model(num_classes=3, loss="sparse_categorical_crossentropy"):
        made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(num_classes, activation="softmax")])
        made.compile("adam", loss)
        return made

    check_refuses(lambda: co_training(model(), model(2)), "the same classes", "3 and 2")
    check_refuses(lambda: co_training(model(), network()), "`second` must be compiled")
    check_refuses(lambda: co_training(model(), model(), num_added=[1, 2]), "`num_added`", "3 classes")
    training = co_training(model(), model(), num_rounds=1, seed=0)
    views = [X[:, :2], X[:, 2:]]
    check_refuses(lambda: training.fit([X[:, :2]], Y, views), "`x` must be a pair", "as many as `y`")
    check_refuses(lambda: training.fit(views, Y[:5], views), "of 5 examples")

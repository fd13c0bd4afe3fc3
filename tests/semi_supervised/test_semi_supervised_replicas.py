"""Two replicas train as one, in a process of its own."""

import pytest
import two_replicas

SCRIPT = """
    import keras, numpy as np
    from two_replicas import check_same_history, check_same_weights, strategies
    single, mirrored = strategies()
    import tf_transfer as tft
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(48, 5)).astype("float32"), rng.integers(0, 3, 12)
    room = tft.semi_supervised
    methods = {
        "PseudoLabel": lambda model: room.PseudoLabel(model),
        "FixMatch": lambda model: room.FixMatch(model, threshold=0.5),
        "FlexMatch": lambda model: room.FlexMatch(model, 48, threshold=0.5),
        "MeanTeacher": lambda model: room.MeanTeacher(model, momentum=0.6),
    }

    def train(make, strategy):
        with strategy.scope():
            layers = [keras.Input((5,)), keras.layers.Dense(6, activation="tanh", kernel_regularizer="l2")]
            plain = keras.Sequential([*layers, keras.layers.Dense(3, activation="softmax")])
            weights = np.random.default_rng(1)
            plain.set_weights([weights.normal(size=w.shape) for w in plain.get_weights()])
            model = make(plain)
            rule = keras.optimizers.SGD(0.1, momentum=0.9)
            model.compile(rule, "sparse_categorical_crossentropy", metrics=["accuracy"])
        batches = tft.data.pair_labelled(
            (x[:12], y), x, 4, ratio=3, strong=lambda x: 0.8 * x, index=True, shuffle=False)
        options = {"class_weight": {0: 2.0, 1: 1.0, 2: 0.5}, "verbose": 0, "validation_data": (x[:12], y)}
        return model, model.fit(batches, epochs=3, **options).history

    for name, make in methods.items():
        (one, a), (two, b) = (train(make, s) for s in (single, mirrored))
        check_same_weights(one, two, name=name)
        check_same_history(a, b, name=name)
        print(name)

    # Each replica has batch statistics of its own; what is dealt out is its part of a batch.
    with mirrored.scope():
        layers = [keras.layers.BatchNormalization(), keras.layers.Dense(3, activation="softmax")]
        model = room.FixMatch(
            keras.Sequential([keras.Input((5,)), *layers]), threshold=0.4, batch_statistics="interleaved")
        model.compile("sgd", "sparse_categorical_crossentropy")
    stream = tft.data.pair_labelled((x[:12], y), x, 4, ratio=3, strong=lambda x: 0.8 * x)
    assert np.isfinite(model.fit(stream, verbose=0).history["loss"]).all()
    print("interleaved")
"""


@pytest.mark.slow
def test_two_replicas_train_as_one():
    printed = two_replicas.run(SCRIPT, __file__)
    assert printed == ["PseudoLabel", "FixMatch", "FlexMatch", "MeanTeacher", "interleaved"]

"""Methods for several sources, and PADA, on two replicas and in half precision, in a process of their own."""

import pytest
import two_replicas

SCRIPT = """
    import keras, numpy as np
    from two_replicas import check_same_weights, strategies
    one_device, mirrored = strategies()
    import tf_transfer as tft
    from domain_toys import arrays, networks
    x_source, y, x_target = arrays(32)
    # Halves of a batch that are alike: a replica then finds what the whole batch would have.
    half = np.array([0, 8, 0, 8, 16, 24, 16, 24])
    x, y, x_target = x_source[half], y[half], np.tile(x_target[:4], (2, 1))
    named = {"one": (x, y), "two": (x + 1.0, y)}

    def train(make, strategy, source, **options):
        with strategy.scope():
            model = make(*networks(**options))
            model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
        pairs = tft.data.pair_domains(source, x_target, batch_size=8, shuffle=False)
        return model, model.fit(pairs.repeat(), steps_per_epoch=6, class_weight={0: 2.0, 1: 1.0, 2: 0.5},
                                verbose=0, validation_data=(x_target, y)).history

    adaptation = tft.adaptation
    cases = {
        "MDAN": (lambda e, c: adaptation.MDAN(e, c, named, adaptation_weight=0.5, seed=0), named),
        "M3SDA": (lambda e, c: adaptation.M3SDA(e, c, named, seed=0), named),
        "PADA": (lambda e, c: adaptation.PADA(e, c, adaptation_weight=0.5, momentum=0.5, seed=0), (x, y)),
    }
    for name, (make, source) in cases.items():
        (one, a), (two, b) = (train(make, each, source) for each in (one_device, mirrored))
        assert set(a) == set(b), (set(a) ^ set(b))
        exact = name != "PADA"
        if exact:
            check_same_weights(one, two, 1e-4, name)
        else:
            assert all(np.isfinite(each).all() for each in two.get_weights())
            np.testing.assert_allclose(one.class_weights.numpy(), two.class_weights.numpy(), atol=0.02)
            assert np.abs(two.class_weights.numpy() - 1 / 3).max() > 1e-3
        print(name)
    keras.mixed_precision.set_global_policy("mixed_float16")
    for name, (make, source) in cases.items():
        _, history = train(make, one_device, source, batch_norm=True)
        assert np.isfinite(history["loss"]).all()
        print(name)
"""


@pytest.mark.slow
def test_two_replicas_train_as_one_and_half_precision_trains():
    assert two_replicas.run(SCRIPT, __file__) == ["MDAN", "M3SDA", "PADA"] * 2

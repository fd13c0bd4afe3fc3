"""The adapter on two replicas, in a process of its own: equal to one where the objective is a mean over examples."""

import pytest
import two_replicas

SCRIPT = """
    import keras, numpy as np
    from two_replicas import check_same_history, check_same_weights, strategies
    single, mirrored = strategies()
    import tf_transfer as tft
    from domain_toys import arrays, networks
    x_source, y, x_target = arrays(32)

    def dann(encoder, classifier):
        encoder.layers[0].kernel.regularizer = keras.regularizers.L2(0.01)
        return tft.DANN(encoder, classifier, adaptation_weight=tft.schedules.dann(), seed=0)

    def mmd(encoder, classifier):
        return tft.DAN(encoder, classifier, adaptation_weight=0.5)

    def wdgrl(encoder, classifier):
        return tft.WDGRL(encoder, classifier, adaptation_weight=0.1, critic_steps=2, gradient_penalty=1.0, seed=0)

    def train(make, strategy, **options):
        with strategy.scope():
            model = make(*networks(**options))
            rule = keras.optimizers.SGD(0.1, momentum=0.9)
            model.compile(rule, "sparse_categorical_crossentropy", metrics=["accuracy"])
        pairs = tft.data.pair_domains((x_source, y), x_target, batch_size=8, shuffle=False)
        history = model.fit(pairs, epochs=3, class_weight={0: 2.0, 1: 1.0, 2: 0.5}, verbose=0,
                            validation_data=(x_target, y)).history
        return model, history

    # The critic of WDGRL is asked between the domains, at random points: those of one device, each replica its part.
    for name, make in (("DANN", dann), ("WDGRL", wdgrl)):
        (one, a), (two, b) = (train(make, s) for s in (single, mirrored))
        check_same_weights(one, two, name=name)
        check_same_history(a, b, name=name)
        print(name)

    # A distance of samples is one of each replica's half: close to, and not the same as, that of the whole batch.
    _, b = train(mmd, mirrored, batch_norm=True)
    assert np.isfinite(b["loss"]).all() and b["mmd_loss"][-1] > 0
    np.testing.assert_allclose(np.array(b["classification_loss"]) + 0.5 * np.array(b["mmd_loss"]), b["loss"], rtol=1e-5)
    print("DAN")
"""


@pytest.mark.slow
def test_two_replicas_train_as_one():
    assert two_replicas.run(SCRIPT, __file__) == ["DANN", "WDGRL", "DAN"]

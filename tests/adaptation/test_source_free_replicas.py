"""Methods without source data on two replicas, in a process of their own."""

import pytest
import two_replicas

SCRIPT = """
    import keras, numpy as np, tensorflow as tf
    from two_replicas import check_same_history, check_same_weights, strategies
    single, mirrored = strategies()
    import tf_transfer as tft
    from domain_toys import arrays, networks
    _, y, x = arrays()
    stream = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)

    def train(make, strategy):
        with strategy.scope():
            method = make()
            method.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        history = method.fit(stream, epochs=2, validation_data=(x, y), verbose=0).history
        return method, history

    # Statistics pooled over replicas are those of one.
    def adabn():
        encoder, classifier = networks(batch_norm=True)
        return tft.AdaBN(keras.Sequential([encoder, classifier]))
    (two, _), (one, _) = (train(adabn, s) for s in (mirrored, single))
    hidden = np.tanh(x @ one.model.layers[0].layers[0].kernel.numpy() + one.model.layers[0].layers[0].bias.numpy())
    for method in (two, one):
        norm = method.model.layers[0].get_layer("norm")
        np.testing.assert_allclose(norm.moving_mean.numpy(), hidden.mean(0), atol=1e-5)
        np.testing.assert_allclose(norm.moving_variance.numpy(), hidden.var(0), atol=1e-5)
        assert norm.momentum == 0.99 and "call" not in vars(norm)
    print("AdaBN")

    # TENT normalizes by each replica's share of the batch: it runs, moves, and leaves the layers as they were.
    def tent():
        encoder, classifier = networks(batch_norm=True)
        return tft.TENT(keras.Sequential([encoder, classifier]))
    two, history = train(tent, mirrored)
    norm = two.model.layers[0].get_layer("norm")
    assert history["loss"][1] < history["loss"][0]
    assert norm.momentum == 0.99 and "call" not in vars(norm)
    try:
        two.predict_and_adapt(x)
    except ValueError as error:
        assert "one replica" in str(error)
        print("TENT")

    # SHOT's mean prediction is each replica's; without diversity to differ in, a batch of twins is the same for both.
    twins = np.repeat(x[::2], 2, axis=0)
    order = np.concatenate([np.arange(8)[::2], np.arange(8)[1::2]])
    twins = twins.reshape(3, 8, 4)[:, order].reshape(24, 4)
    stream = tf.data.Dataset.from_tensor_slices((twins, y)).batch(8)
    (two, a), (one, b) = (train(lambda: tft.SHOT(*networks()), s) for s in (mirrored, single))
    check_same_weights(one.encoder, two.encoder)
    check_same_history(a, b)
    print("SHOT")
"""


@pytest.mark.slow
def test_two_replicas():
    assert two_replicas.run(SCRIPT, __file__) == ["AdaBN", "TENT", "SHOT"]

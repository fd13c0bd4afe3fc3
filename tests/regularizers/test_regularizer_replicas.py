"""Regularizers on two replicas, in a process of their own."""

import pytest
import two_replicas

SCRIPT = """
    import keras, numpy as np, tensorflow as tf
    from two_replicas import check_same_history, strategies
    strategies = strategies()
    import tf_transfer as tft
    from regularizer_toys import X, Y, arrays, classifier, moved, source_classifier
    stream = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)

    def train(strategy):
        with strategy.scope():
            model = classifier(keras.optimizers.SGD(0.1, 0.9), regularizer=keras.regularizers.L2(0.01))
        methods = [tft.L2SP(0.3), tft.DELTA(layers=["low", "high"]), tft.LearningWithoutForgetting(),
                   tft.CoTuning(source=source_classifier())]
        callback = tft.regularizers.RegularizationCallback(methods, model, (X, Y), verbose=0)
        model.set_weights(moved(arrays(model)))
        history = model.fit(stream, epochs=3, verbose=0, callbacks=[callback]).history
        assert not any("call" in vars(layer) for layer in model._flatten_layers())
        return history, [*model.weights, *callback.trainable_variables()]

    one, two = (train(strategy) for strategy in strategies)
    check_same_history(one[0], two[0], 1e-4)
    assert len(one[1]) == 8
    for a, b in zip(one[1], two[1]):
        np.testing.assert_allclose(np.asarray(b), np.asarray(a), atol=1e-5, err_msg=a.path)
    print("equal")
"""


@pytest.mark.slow
def test_two_replicas_train_as_one_device():
    assert two_replicas.run(SCRIPT, __file__) == ["equal"]

"""Two replicas learn from episodes as one, and so does a network in mixed precision nearly, in a process of its own."""

import pytest
import two_replicas

SCRIPT = """
    import keras, numpy as np
    from two_replicas import check_same_history, check_same_weights, strategies
    single, mirrored = strategies()
    import tf_transfer as tft
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(48, 5)).astype("float32"), np.arange(48) // 6
    room = tft.few_shot
    options = {"inner_batch_size": 3, "seed": 0}
    methods = {
        "PrototypicalNetwork": lambda model: room.PrototypicalNetwork(model),
        "MAML": lambda model: room.MAML(model, 0.1, 2, learned_rates=True),
        "Reptile": lambda model: room.Reptile(model, 0.05, 3, step_size=tft.schedules.linear(1.0, 0.0), **options),
        "Reptile, SGD": lambda model: room.Reptile(model, 0.05, 3, inner_optimizer="sgd", **options),
    }

    def train(make, strategy, steps_per_execution=1, dtype="float32"):
        with strategy.scope():
            layers = [keras.Input((5,)), keras.layers.Dense(6, "tanh", kernel_regularizer="l2", dtype=dtype)]
            plain = keras.Sequential([*layers, keras.layers.Dense(3, dtype=dtype)])
            weights = np.random.default_rng(1)
            plain.set_weights([weights.normal(size=w.shape) for w in plain.get_weights()])
            model = make(plain)
            model.compile(keras.optimizers.SGD(0.3), steps_per_execution=steps_per_execution)
        stream = tft.data.episodes(x, y, 3, 3, 2, num_episodes=16, batch_size=4, fixed=True, seed=0)
        return model, model.fit(stream, epochs=2, verbose=0).history

    for name, make in methods.items():
        one, a = train(make, single)
        for two, b in (train(make, mirrored), train(make, single, 4)):
            check_same_weights(one, two, 1e-4, name)
            check_same_history(a, b, 1e-4, name)
        assert abs(train(make, single, dtype="mixed_bfloat16")[1]["loss"][-1] / a["loss"][-1] - 1) < 0.1
        print(name)
"""


@pytest.mark.slow
def test_two_replicas_several_steps_and_mixed_precision_train_as_one_step_of_one():
    printed = two_replicas.run(SCRIPT, __file__)
    assert printed == ["PrototypicalNetwork", "MAML", "Reptile", "Reptile, SGD"]

"""Two replicas, whose halves of a batch have unequal numbers of labels, learn what one device does."""

import pytest
import two_replicas

REPLICAS = """
    import keras, numpy as np
    from two_replicas import check_same_history, check_same_weights, strategies
    strategies = strategies()
    from task_toys import MISSING, X, losses, network
    import tf_transfer as tft

    def plain():
        model = network(l2=0.1)
        model.compile(keras.optimizers.SGD(0.1), losses())
        return model

    def balanced(cls, **options):
        method = cls(network(l2=0.1), **options)
        method.compile(keras.optimizers.SGD(0.1), losses())
        return method

    makers = dict(
        plain=plain,
        uncertainty=lambda: balanced(tft.UncertaintyWeighting),
        averaging=lambda: balanced(tft.DynamicWeightAveraging),
        grad_norm=lambda: balanced(tft.GradNorm, learning_rate=0.1),
        pc_grad=lambda: balanced(tft.PCGrad, seed=4),
    )
    weights = dict.fromkeys(MISSING, np.linspace(0.5, 2.0, 16))
    for name, make in makers.items():
        results = []
        for strategy in strategies:
            with strategy.scope():
                model = make()
            options = dict(batch_size=8, epochs=3, sample_weight=weights, verbose=0, shuffle=False)
            results.append((model.fit(X, MISSING, **options).history, model))
        (a, one), (b, two) = results
        check_same_history(a, b, 1e-4, name)
        check_same_weights(one, two, 1e-4, name)
        print(name)
"""


@pytest.mark.slow
def test_two_replicas_train_as_one():
    printed = two_replicas.run(REPLICAS, __file__)
    assert printed == ["plain", "uncertainty", "averaging", "grad_norm", "pc_grad"]

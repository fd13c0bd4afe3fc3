"""One step of each method against an independent computation in NumPy, and what all of them hold."""

import itertools

import keras
import numpy as np
import pytest
from task_toys import MISSING, X, Y, losses, network, values_and_gradients

import tf_transfer as tft

NAMES = ["digit", "age", "tags"]
RATE = 0.1


def fitted(method, y=Y, **arguments):
    """Makes one step of plain gradient descent on all examples; returns the history and the weights before."""
    method.compile(keras.optimizers.SGD(RATE), losses())
    before = [each.numpy() for each in method.model.trainable_variables]
    history = method.fit(X, y, batch_size=len(X), verbose=0, shuffle=False, **arguments).history
    return history, before


def check_step(method, before, gradients):
    """Holds that the weights moved down these gradients."""
    for variable, old, gradient in zip(method.model.trainable_variables, before, gradients, strict=True):
        np.testing.assert_allclose(variable.numpy(), old - RATE * gradient, rtol=1e-4, atol=1e-6, err_msg=variable.path)


def weighted(found, factors):
    """Returns the sum of the tasks' gradients, each times a factor."""
    rows = [[(f, g) for f, g in zip(factors, each, strict=True) if g is not None] for each in _columns(found)]
    return [sum(f * g for f, g in row) for row in rows]


def _columns(found):
    return zip(*(found[name][1] for name in NAMES), strict=True)


@pytest.mark.parametrize("y", [Y, MISSING], ids=["all", "missing"])
def test_uncertainty_is_the_likelihood_of_each_task(y):
    method = tft.UncertaintyWeighting(network())
    log_variances = np.array([0.5, -0.3, 0.2], "float32")
    order = [method.tasks.index(name) for name in NAMES]
    method.log_variances.assign(log_variances[np.argsort(order)])
    found = values_and_gradients(method.model, y=y)
    values = np.array([found[name][0] for name in NAMES])
    # The squared error is that of a normal distribution, whose exponent has a half.
    halves = np.array([1.0, 0.5, 1.0])
    weights = halves * np.exp(-log_variances)

    history, before = fitted(method, y)
    assert history["loss"][0] == pytest.approx((weights * values).sum() + log_variances.sum() / 2, rel=1e-5)
    for name, weight, value in zip(NAMES, weights, values, strict=True):
        assert history[f"{name}_weight"][0] == pytest.approx(weight, rel=1e-5)
        assert history[f"{name}_loss"][0] == pytest.approx(value, rel=1e-5)
    check_step(method, before, weighted(found, weights))
    learned = log_variances - RATE * (0.5 - weights * values)
    np.testing.assert_allclose(method.log_variances.numpy()[order], learned, rtol=1e-4)


def test_the_weights_of_dynamic_averaging_follow_the_last_two_epochs():
    method = tft.DynamicWeightAveraging(network(), temperature=0.7)
    method.compile(keras.optimizers.SGD(0.3), losses())
    history = method.fit(X, Y, batch_size=4, epochs=4, verbose=0, shuffle=False).history
    past = np.array([history[f"{name}_loss"] for name in NAMES])
    for epoch in range(4):
        expected = np.ones(3)
        if epoch > 1:
            rates = np.exp(past[:, epoch - 1] / past[:, epoch - 2] / 0.7)
            expected = 3 * rates / rates.sum()
        found = [history[f"{name}_weight"][epoch] for name in NAMES]
        np.testing.assert_allclose(found, expected, rtol=1e-4)
        total = sum(weight * value for weight, value in zip(found, past[:, epoch], strict=True))
        assert history["loss"][epoch] == pytest.approx(total, rel=1e-4)
    assert np.ptp([history[f"{name}_weight"][3] for name in NAMES]) > 0.01


@pytest.mark.slow
def test_dynamic_averaging_goes_on_where_it_was_stopped_and_begins_anew(tmp_path):
    whole, part = (tft.DynamicWeightAveraging(network()) for _ in range(2))
    for method in (whole, part):
        method.compile(keras.optimizers.SGD(0.3), losses())
    options = {"batch_size": 4, "verbose": 0, "shuffle": False}
    expected = whole.fit(X, Y, epochs=4, **options).history["age_weight"][2:]
    part.fit(X, Y, epochs=2, **options)
    part.save(tmp_path / "part.keras")
    loaded = keras.models.load_model(tmp_path / "part.keras")
    found = loaded.fit(X, Y, epochs=4, initial_epoch=2, **options).history["age_weight"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert loaded.fit(X, Y, epochs=1, **options).history["age_weight"] == [1.0]


def norm_of_last(found, name):
    # Kernels and biases of "first" and "last" come first.
    return np.linalg.norm(found[name][1][2])


def test_grad_norm_takes_the_step_of_its_paper():
    method = tft.GradNorm(network(), alpha=0.7, learning_rate=0.2)
    order = [method.tasks.index(name) for name in NAMES]
    weights = np.array([1.4, 0.9, 0.7], "float32")
    method.loss_weights.assign(weights[np.argsort(order)])
    first = np.array([2.0, 0.5, 1.0], "float32")
    method._first.assign(first[np.argsort(order)])
    found = values_and_gradients(method.model)
    values = np.array([found[name][0] for name in NAMES])
    norms = np.array([norm_of_last(found, name) for name in NAMES])

    history, before = fitted(method)
    check_step(method, before, weighted(found, weights))
    assert history["loss"][0] == pytest.approx((weights * values).sum(), rel=1e-5)
    assert [history[f"{name}_weight"][0] for name in NAMES] == pytest.approx(list(weights), rel=1e-5)

    rates = (values / first) / (values / first).mean()

    def objective(candidate):
        target = (weights * norms).mean() * rates**0.7
        return np.abs(candidate * norms - target).sum()

    slopes = [(objective(weights + 1e-4 * unit) - objective(weights - 1e-4 * unit)) / 2e-4 for unit in np.eye(3)]
    moved = weights - 0.2 * np.array(slopes)
    expected = 3 * moved / moved.sum()
    np.testing.assert_allclose(method.loss_weights.numpy()[order], expected, rtol=1e-3)
    assert np.ptp(expected - weights) > 0.01


@pytest.mark.slow
def test_grad_norm_remembers_the_first_losses_and_takes_the_layer_it_is_told():
    method = tft.GradNorm(network(), shared_layer="first")
    found = values_and_gradients(method.model)
    fitted(method)
    order = [method.tasks.index(name) for name in NAMES]
    np.testing.assert_allclose(method._first.numpy()[order], [found[name][0] for name in NAMES], rtol=1e-5)
    norms = [np.sqrt(sum((g**2).sum() for g in found[name][1][:2])) for name in NAMES]
    # At the first step all rates are 1: those with larger gradients go down.
    signs = np.sign(np.array(norms) - np.mean(norms))
    moved = 1 - 0.025 * signs * np.array(norms)
    np.testing.assert_allclose(method.loss_weights.numpy()[order], 3 * moved / moved.sum(), rtol=1e-4)
    with pytest.raises(ValueError, match="Did you mean 'first'"):
        tft.GradNorm(network(), shared_layer="frist")


def projected(gradients, orders):
    """Returns the sum of the projected gradients, as the paper's algorithm has it."""
    total = 0.0
    for task, order in enumerate(orders):
        own = gradients[task].copy()
        for other in order:
            inner = own @ gradients[other]
            if inner < 0 and other != task:
                own -= inner / (gradients[other] @ gradients[other]) * gradients[other]
        total = total + own
    return total


def test_pcgrad_projects_in_one_of_the_orders_of_its_paper():
    # Opposite labels of two tasks make conflicts sure.
    method = tft.PCGrad(network(seed=2), seed=5)
    found = values_and_gradients(method.model)
    flat = [np.concatenate([each.ravel() for each in found[name][1][:4]]) for name in NAMES]
    assert any(a @ b < 0 for a, b in itertools.combinations(flat, 2)), "no conflict to solve"
    history, before = fitted(method)
    moved = np.concatenate(
        [
            ((old - variable.numpy()) / RATE).ravel()
            for old, variable in zip(before[:4], method.model.trainable_variables[:4], strict=True)
        ]
    )
    possible = [projected(flat, orders) for orders in itertools.product(itertools.permutations(range(3)), repeat=3)]
    differences = [np.abs(each - moved).max() for each in possible]
    assert min(differences) < 1e-4
    assert np.abs(sum(flat) - moved).max() > 1e-3, "nothing was projected"
    # The weights of a head have one task's gradient, as it is.
    check_step_of_heads = weighted(found, [1, 1, 1])[4:]
    for variable, old, gradient in zip(
        method.model.trainable_variables[4:], before[4:], check_step_of_heads, strict=True
    ):
        np.testing.assert_allclose(variable.numpy(), old - RATE * gradient, rtol=1e-4, atol=1e-6)
    pairs = list(itertools.combinations(flat, 2))
    assert history["conflicts"][0] == pytest.approx(np.mean([a @ b < 0 for a, b in pairs]))
    assert history["loss"][0] == pytest.approx(sum(found[name][0] for name in NAMES), rel=1e-5)


def test_the_coefficients_are_those_of_the_algorithm():
    from tf_transfer.multi_task.pc_grad import projections

    rng = np.random.default_rng(0)
    for _ in range(5):
        gradients = rng.normal(size=(4, 3))
        orders = np.stack([rng.permutation(4) for _ in range(4)])
        found = projections(gradients @ gradients.T, np.asarray(orders)).numpy().sum(0) @ gradients
        np.testing.assert_allclose(found, projected(gradients, orders), rtol=1e-8)


SLOW = pytest.mark.slow
METHODS = [tft.UncertaintyWeighting, tft.DynamicWeightAveraging, tft.GradNorm, tft.PCGrad]


@pytest.mark.parametrize(
    "cls",
    [pytest.param(cls, marks=[SLOW] if cls in METHODS[:2] else []) for cls in METHODS],
    ids=lambda cls: cls.__name__,
)
def test_regularizers_and_weights_of_examples_count(cls):
    """Held against the same method without: GradNorm and PCGrad have training steps of their own."""
    weights = np.linspace(0.0, 2.0, 16).astype("float32")
    options = {"seed": 1} if cls is tft.PCGrad else {}
    method, plain = cls(network(l2=0.1), **options), cls(network(), **options)
    found = values_and_gradients(plain.model, weights=weights)
    history, before = fitted(method, sample_weight=dict.fromkeys(NAMES, weights))
    other, _ = fitted(plain, sample_weight=dict.fromkeys(NAMES, weights))
    norm = 0.1 * sum((old**2).sum() for old in (before[0], before[2]))
    assert history["age_loss"][0] == pytest.approx(found["age"][0], rel=1e-5)
    assert history["loss"][0] == pytest.approx(other["loss"][0] + norm, rel=1e-5)
    # The kernel of the first layer moves by the gradient of the penalty besides.
    difference = plain.model.trainable_variables[0].numpy() - method.model.trainable_variables[0].numpy()
    np.testing.assert_allclose(difference, RATE * 2 * 0.1 * before[0], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("cls", "policy"),
    [
        pytest.param(tft.GradNorm, "mixed_float16"),
        *(pytest.param(cls, "mixed_bfloat16", marks=SLOW) for cls in METHODS),
        *(pytest.param(cls, "mixed_float16", marks=SLOW) for cls in METHODS if cls is not tft.GradNorm),
    ],
)
def test_mixed_precision_learns_nearly_the_same(cls, policy):
    options = {"batch_size": 8, "epochs": 3, "verbose": 0, "shuffle": False}
    made = {}
    for name in ("float32", policy):
        keras.config.set_dtype_policy(name)
        try:
            method = cls(network(l2=0.01), **({"seed": 1} if cls is tft.PCGrad else {}))
            method.compile(keras.optimizers.SGD(0.05), losses())
        finally:
            keras.config.set_dtype_policy("float32")
        made[name] = method.fit(X, MISSING, **options).history, method
    assert isinstance(made[policy][1].optimizer, keras.optimizers.LossScaleOptimizer) == (policy == "mixed_float16")
    for name, values in made["float32"][0].items():
        if name != "conflicts":
            np.testing.assert_allclose(made[policy][0][name], values, rtol=0.05, atol=0.02, err_msg=name)


def test_validation_asks_the_question_that_does_not_depend_on_the_method():
    method = tft.UncertaintyWeighting(network(l2=0.1))
    method.compile(keras.optimizers.SGD(0.1), losses(), metrics={"digit": ["accuracy"]})
    history = method.fit(X, MISSING, validation_data=(X, MISSING), epochs=2, verbose=0).history
    assert {"val_loss", "val_age_loss", "digit_accuracy", "val_digit_accuracy"} <= set(history)
    assert not any(name.startswith("val_") and name.endswith("weight") for name in history)
    found = values_and_gradients(method.model, y=MISSING)
    plain = sum(value for value, _ in found.values())
    penalty = 0.1 * sum((method.model.get_layer(name).kernel.numpy() ** 2).sum() for name in ("first", "last"))
    assert history["val_loss"][-1] == pytest.approx(plain + penalty, rel=1e-4)
    again = method.fit(X, MISSING, verbose=0).history
    assert again["age_loss"][0] > 0


def test_losses_are_those_that_the_network_was_compiled_with():
    model = network()
    model.compile("adam", losses(), metrics={"digit": ["accuracy"]})
    method = tft.PCGrad(model, seed=0)
    method.compile("sgd")
    assert {"digit_accuracy", "age_loss"} <= set(method.fit(X, MISSING, verbose=0).history)
    assert method.deployable() is model
    model.compile("adam", losses(), loss_weights={"digit": 2.0, "age": 1.0, "tags": 1.0})
    with pytest.raises(ValueError, match="GradNorm sets the weights of the tasks itself"):
        tft.GradNorm(model).compile("sgd")
    weighted_method = tft.PCGrad(model)
    weighted_method.compile(keras.optimizers.SGD(0.0))
    found = values_and_gradients(model)
    history = weighted_method.fit(X, Y, batch_size=16, verbose=0).history
    expected = 2 * found["digit"][0] + found["age"][0] + found["tags"][0]
    assert history["loss"][0] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="`loss` must be a dict with a loss for each of"):
        tft.PCGrad(network()).compile("sgd")


@pytest.mark.parametrize("cls", [tft.GradNorm, tft.PCGrad])
def test_a_frozen_trunk_has_no_gradients_to_balance(cls):
    method = cls(network(trainable=False))
    method.compile("sgd", losses())
    with pytest.raises(ValueError, match="nothing of that trains"):
        method.fit(X, Y, verbose=0)


def test_labels_of_a_task_must_be_there_and_a_model_of_one_task_is_refused():
    method = tft.UncertaintyWeighting(network())
    method.compile("sgd", losses())
    with pytest.raises(ValueError, match=r"`y` must be a dict with an entry for each of the tasks"):
        method.fit(X, {"digit": Y["digit"]}, verbose=0)
    x = keras.Input((4,))
    with pytest.raises(ValueError, match="two outputs or more"):
        tft.PCGrad(keras.Model(x, keras.layers.Dense(1)(x)))

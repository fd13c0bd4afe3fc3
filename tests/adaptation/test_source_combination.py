"""Models of several sources, combined by how much each source resembles the target."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import tf_transfer as tft

from domain_toys import arrays, networks


def domains(seed=0):
    rng = np.random.default_rng(seed)
    near, far, target = rng.normal(size=(3, 120, 2))
    return {"near": near + 0.2, "far": far[:50] + 2.0}, target


@pytest.mark.parametrize("similarity", ["classifier", "mmd", "coral"])
def test_the_nearer_source_weighs_more(similarity):
    sources, target = domains()
    if similarity == "coral":
        sources["far"] = sources["far"] * 4.0
    weights = tft.adaptation.source_weights(sources, target, similarity=similarity)
    assert weights["near"] > 0.8
    np.testing.assert_allclose(sum(weights.values()), 1.0)
    moved = tft.adaptation.source_weights({n: 7 * x + 3 for n, x in sources.items()}, 7 * target + 3)
    np.testing.assert_allclose(
        list(moved.values()), list(tft.adaptation.source_weights(sources, target).values()), 1e-3
    )


def test_weights_of_a_mixture_are_its_proportions():
    rng = np.random.default_rng(1)
    sources = {"left": rng.normal(-5, 1, size=(400, 1)), "right": rng.normal(5, 1, size=(100, 1))}
    target = np.concatenate([rng.normal(-5, 1, size=(70, 1)), rng.normal(5, 1, size=(30, 1))])
    weights = tft.adaptation.source_weights(sources, target)
    np.testing.assert_allclose([weights["left"], weights["right"]], [0.7, 0.3], atol=0.02)


def test_weights_of_distances_fall_exponentially():
    sources, target = domains()
    distances = iter([1.0, 3.0])
    weights = tft.adaptation.source_weights(sources, target, similarity=lambda *_: next(distances), sharpness=1.5)
    expected = np.exp([-1.5 * 1 / 2, -1.5 * 3 / 2])
    np.testing.assert_allclose(list(weights.values()), expected / expected.sum(), rtol=1e-6)
    equal = tft.adaptation.source_weights(sources, target, similarity="mmd", sharpness=0.0)
    assert equal == {"near": 0.5, "far": 0.5}


def test_a_distance_of_the_analysis_can_be_given():
    sources, target = domains()
    weights = tft.adaptation.source_weights(sources, target, similarity=tft.analysis.proxy_a_distance)
    assert weights["near"] > 0.8


@pytest.mark.slow
def test_the_combination_is_the_weighted_mean_and_opens_without_the_package(tmp_path):
    x = arrays()[2]
    models = {}
    for seed, name in enumerate("ab"):
        encoder, head = networks(seed)
        models[name] = keras.Model(encoder.inputs, head(encoder.outputs[0]), name="same")
        models[name].compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    combined = tft.adaptation.combine_models(models, {"a": 1, "b": 3})
    expected = 0.25 * models["a"].predict(x, verbose=0) + 0.75 * models["b"].predict(x, verbose=0)
    np.testing.assert_allclose(combined.predict(x, verbose=0), expected, rtol=1e-5)
    labels = expected.argmax(-1)
    assert combined.evaluate(x, labels, verbose=0, return_dict=True)["accuracy"] == 1.0
    combined.save(tmp_path / "combined.keras")
    np.savez(tmp_path / "x.npz", x=x, expected=expected)
    script = (
        "import sys, keras, numpy as np; stored = np.load('x.npz'); model = keras.models.load_model('combined.keras');"
        "np.testing.assert_allclose(model.predict(stored['x'], verbose=0), stored['expected'], rtol=1e-5);"
        "assert 'tf_transfer' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, capture_output=True)


def test_weighting_beats_equal_shares_where_sources_disagree():
    """The rule of the far source is the opposite one: the target, near the other source, wants that one's."""
    sources, target = domains()
    rules = {"near": lambda x: x[:, 0] > 0.2, "far": lambda x: x[:, 0] < 2.0}
    models = {}
    for name, x in sources.items():
        linear = LogisticRegression().fit(x, rules[name](x))
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, activation="sigmoid")])
        model.set_weights([linear.coef_.T, linear.intercept_])
        models[name] = model
    truth = target[:, 0] > 0.2
    right = {}
    for name, weights in {"equal": None, "weighted": tft.adaptation.source_weights(sources, target)}.items():
        scores = tft.adaptation.combine_models(models, weights).predict(target, verbose=0)[:, 0]
        right[name] = np.mean((scores > 0.5) == truth)
    assert right["weighted"] > 0.9 > right["equal"] + 0.1

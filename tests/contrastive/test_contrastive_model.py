"""Contrastive losses, models, retrieval and zero-shot classes, against NumPy."""

import itertools
import json
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
import two_replicas

import tf_transfer as tft
from tf_transfer.contrastive import recall_at_k, retrieval_recall, zero_shot

RNG = np.random.default_rng(2)
PAIRS = {"image": RNG.normal(size=(12, 5)).astype("float32"), "text": RNG.normal(size=(12, 3)).astype("float32")}


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def log_softmax(scores):
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def encoders(seed=0, l2=0.0):
    regularizer = keras.regularizers.L2(l2) if l2 else None
    made = {}
    for number, (name, values) in enumerate(PAIRS.items()):
        options = {"kernel_initializer": keras.initializers.GlorotUniform(seed=seed + number), "name": f"{name}_dense"}
        inputs = keras.Input(values.shape[1:], name=name)
        made[name] = keras.Model(inputs, keras.layers.Dense(4, kernel_regularizer=regularizer, **options)(inputs))
    return made


def compiled(loss=None, optimizer=None, **options):
    model = tft.ContrastiveModel(encoders(**options), loss)
    model.compile(optimizer or keras.optimizers.SGD(0.1))
    return model


def embeddings(model):
    found = {name: each.predict(PAIRS[name], verbose=0) for name, each in zip(model.sides, (model.first, model.second))}
    return {name: unit(rows) for name, rows in found.items()}


def test_info_nce_is_the_softmax_loss_of_both_directions():
    first, second = RNG.normal(size=(2, 6, 4))
    scores = unit(first) @ unit(second).T / 0.2
    expected = -np.mean(np.diag(log_softmax(scores)) + np.diag(log_softmax(scores.T))) / 2
    assert float(tft.losses.InfoNCE(0.2)(first, second)) == pytest.approx(expected, rel=1e-5)


def test_examples_of_one_group_match_each_other():
    first, second = (each.astype("float32") for each in RNG.normal(size=(2, 5, 4)))
    groups = np.array([0, 1, 0, 2, 1])
    match = groups[:, None] == groups
    scores = unit(first) @ unit(second).T / 0.5
    aim = match / match.sum(1, keepdims=True)
    expected = -((log_softmax(scores) + log_softmax(scores.T)) * aim).sum(1) / 2
    found = tft.losses.InfoNCE(0.5).values(first, second, 2.0, groups)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    signs = np.where(match, 1, -1)
    expected = np.log1p(np.exp(-signs * (scores - 1.5))).sum(1)
    found = tft.losses.SigmoidContrastive(0.5).values(first, second, 2.0, groups, bias=-1.5)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("loss", [tft.losses.InfoNCE(0.3), tft.losses.SigmoidContrastive(0.3, bias=-2.0)])
def test_a_step_learns_embeddings_and_temperature(loss):
    model = compiled(loss, l2=0.1)
    first, second = embeddings(model).values()
    penalty = 0.1 * sum(float((each.kernel.numpy() ** 2).sum()) for each in kernels(model))
    expected = float(np.mean(numpy_loss(loss, first, second, np.log(1 / 0.3))))
    history = model.fit(PAIRS, batch_size=12, verbose=0, shuffle=False).history
    assert history["contrastive_loss"][0] == pytest.approx(expected, rel=1e-4)
    assert history["loss"][0] == pytest.approx(expected + penalty, rel=1e-4)
    assert history["temperature"][0] == pytest.approx(0.3, rel=1e-5)
    accuracy = np.mean((first @ second.T).argmax(1) == np.arange(12))
    assert history["image_to_text_accuracy"][0] == pytest.approx(accuracy)
    slope = np.diff([np.mean(numpy_loss(loss, first, second, np.log(1 / 0.3) + step)) for step in (-1e-3, 1e-3)])
    assert float(model.log_scale.numpy()) == pytest.approx(np.log(1 / 0.3) - 0.1 * slope[0] / 2e-3, rel=1e-3)
    if model.bias is not None:
        assert float(model.bias.numpy()) != -2.0


def kernels(model):
    return [each.layers[-1] for each in (model.first, model.second)]


def numpy_loss(loss, first, second, log_scale):
    scores = np.exp(log_scale) * first @ second.T
    if isinstance(loss, tft.losses.InfoNCE):
        return -(np.diag(log_softmax(scores)) + np.diag(log_softmax(scores.T))) / 2
    return np.log1p(np.exp(-(2 * np.eye(len(first)) - 1) * (scores + loss.bias))).sum(1)


def test_the_temperature_never_falls_below_a_hundredth():
    model = compiled(optimizer=keras.optimizers.SGD(0.0))
    model.log_scale.assign(10.0)
    model.fit(PAIRS, verbose=0)
    assert float(model.scale) == pytest.approx(100.0, rel=1e-4)


def test_pairs_can_have_weights_and_streams_have_groups():
    model = compiled()
    weights = np.r_[np.ones(6), np.zeros(6)]
    first, second = embeddings(model).values()
    expected = numpy_loss(tft.losses.InfoNCE(), first, second, np.log(1 / 0.07))[:6].sum() / 12
    history = model.fit(PAIRS, sample_weight=weights, batch_size=12, shuffle=False, verbose=0).history
    assert history["contrastive_loss"][0] == pytest.approx(expected, rel=1e-4)
    stream = tf.data.Dataset.from_tensor_slices((PAIRS, np.arange(12) % 3)).batch(6)
    assert np.isfinite(model.fit(stream, validation_data=stream, verbose=0).history["val_loss"][0])


@pytest.mark.slow
def test_mixed_precision_scales_the_loss_and_predicts_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        # At a low temperature the first gradients are too large for half precision, and their steps are skipped.
        model = compiled(tft.losses.InfoNCE(1.0))
    finally:
        keras.config.set_dtype_policy("float32")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    full = compiled(tft.losses.InfoNCE(1.0)).fit(PAIRS, epochs=2, batch_size=12, verbose=0, shuffle=False).history
    half = model.fit(PAIRS, epochs=2, batch_size=12, verbose=0, shuffle=False).history
    np.testing.assert_allclose(half["loss"], full["loss"], rtol=0.02)
    assert model.predict(PAIRS, verbose=0)["image"].dtype == np.float32
    assert model.side("image").outputs[0].dtype == "float32"


def chance_of_recall(scores, matches, k):
    """Returns recall at k over all orders of equal scores."""
    count = []
    for order in itertools.permutations(range(len(scores))):
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order)):
            count.append(any(matches[each] for each in order[:k]))
    return np.mean(count)


def test_recall_counts_ties_as_random_order_would():
    candidates = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    queries = np.array([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
    groups, offered = np.array([7, 8, 7]), np.array([7, 9, 7, 8, 9])
    scores = queries @ unit(candidates).T
    for k in (1, 2, 3, 5):
        expected = np.mean(
            [chance_of_recall(np.round(row, 6), offered == group, k) for row, group in zip(scores, groups)]
        )
        found = recall_at_k(queries, candidates, k, query_groups=groups, candidate_groups=offered)
        assert found == pytest.approx(expected), k


def test_recall_of_a_model_in_both_directions():
    model = compiled()
    first, second = embeddings(model).values()
    found = retrieval_recall(model, PAIRS, ks=[2])
    ranks = {"image_to_text": first @ second.T, "text_to_image": second @ first.T}
    for name, scores in ranks.items():
        within = (scores > np.diag(scores)[:, None]).sum(1) < 2
        assert found[f"{name}_recall_at_2"] == pytest.approx(within.mean())
    stream = tf.data.Dataset.from_tensor_slices(PAIRS).batch(5)
    assert retrieval_recall(model, stream, ks=[2]) == pytest.approx(found)
    grouped = tf.data.Dataset.from_tensor_slices((PAIRS, np.zeros(12, int))).batch(5)
    assert set(retrieval_recall(model, grouped).values()) == {1.0}


def test_classes_by_their_descriptions():
    model = compiled()
    model.log_scale.assign(1.0)
    descriptions = {"a": PAIRS["text"][:1], "b": PAIRS["text"][1:3]}
    classifier = zero_shot(model, descriptions)
    first, second = embeddings(model).values()
    kernel = np.stack([second[0], unit(second[1:3].mean(0)[None])[0]], axis=1)
    expected = np.exp(log_softmax(np.e * first @ kernel))
    np.testing.assert_allclose(classifier.predict(PAIRS["image"], verbose=0), expected, rtol=1e-4)
    assert classifier.class_names == ["a", "b"]
    other = zero_shot(model, {"x": PAIRS["image"][:1], "y": PAIRS["image"][1:2]}, side="text")
    assert other.predict(PAIRS["text"], verbose=0).shape == (12, 2)
    strangers = {type(each).__module__.split(".")[0] for each in classifier._flatten_layers()}
    assert strangers == {"keras"}
    with pytest.raises(ValueError, match="two class names or more"):
        zero_shot(model, {"a": PAIRS["text"][:1]})
    with pytest.raises(ValueError, match="description of 'a' must be a text"):
        zero_shot(model, {"a": [], "b": PAIRS["text"][:1]})


@pytest.fixture(scope="module")
def of_texts(tiny_backbone):
    image = tft.builders.ImageBuilder(backbone=tiny_backbone, weights=None, augmentation=None, trainable=True, seed=1)
    captions = ["a red square", "a green square", "a blue square"]
    text = tft.builders.TextBuilder(backbone_options={"dim": 8}, seed=1).adapt(captions, verbose=0)
    return tft.DualEncoder(sides={"image": image, "text": text}, embedding_dim=8, seed=1, learning_rate=0.02)


def test_images_find_their_captions_and_new_ones_their_class(of_texts, tmp_path):
    rng = np.random.default_rng(0)
    classes = np.arange(48) % 3
    colors = np.eye(3)[classes][:, None, None] * 200
    images = (colors + rng.uniform(0, 50, (48, 16, 16, 3))).astype("float32")
    words = np.array(["red", "green", "blue"])[classes]
    captions = np.array([f"a {word} square" for word in words], dtype=object)
    model = of_texts.build()
    stream = tf.data.Dataset.from_tensor_slices(({"image": images, "text": captions}, classes)).batch(24).repeat(4)
    model.fit(stream, epochs=4, verbose=0)
    found = retrieval_recall(model, {"image": images, "text": captions}, ks=[1], groups=classes)
    assert min(found.values()) > 0.95, found
    classifier = zero_shot(model, {word: f"a {word} square" for word in ("red", "green", "blue")})
    assert np.mean(classifier.predict(images, verbose=0).argmax(-1) == classes) > 0.95
    path = tft.export(classifier, tmp_path / "colors", class_names=classifier.class_names, verify="saved_model")
    served = tf.saved_model.load(path).signatures["serving_default"](image=tf.constant(images[:3]))
    assert [label.decode() for label in served["labels"].numpy().ravel()] == ["red", "green", "blue"]

    model.export(str(tmp_path / "sides"))
    loaded = tf.saved_model.load(tmp_path / "sides")
    embeddings = model.predict({"image": images[:3], "text": captions[:3]}, verbose=0)
    for side, values in (("image", images[:3]), ("text", captions[:3])):
        answer = loaded.signatures[side](**{side: tf.constant(values)})["embedding"]
        np.testing.assert_allclose(answer, embeddings[side], atol=1e-5)


@pytest.mark.slow
def test_a_model_of_images_and_texts_opens_in_another_process(of_texts, tmp_path):
    model = of_texts.build()
    images, captions = np.full((2, 16, 16, 3), 99.0, "float32"), np.array(["a red square", "a green one"], object)
    pairs = {"image": images, "text": captions}
    model.fit(tf.data.Dataset.from_tensors(pairs), verbose=0)
    model.save(tmp_path / "model.keras")
    code = f"""
        import json, keras, numpy as np, tensorflow as tf, tf_transfer
        model = keras.models.load_model({str(tmp_path / "model.keras")!r})
        pairs = {{"image": np.full((2, 16, 16, 3), 99.0, "float32"), "text": np.array({list(captions)!r}, object)}}
        before = model.predict(pairs, verbose=0)
        model.fit(tf.data.Dataset.from_tensors(pairs), verbose=0)
        print(json.dumps([int(model.optimizer.iterations), {{name: each.tolist() for name, each in before.items()}}]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    steps, found = json.loads(done.stdout.strip().splitlines()[-1])
    assert steps == 2
    for side, values in model.predict(pairs, verbose=0).items():
        np.testing.assert_allclose(found[side], values, rtol=1e-5, atol=1e-6)


def test_what_can_not_be_is_said():
    with pytest.raises(ValueError, match="`encoders` must be a dict of two names"):
        tft.ContrastiveModel({"image": encoders()["image"]})
    with pytest.raises(ValueError, match="`loss` must be a contrastive loss"):
        tft.ContrastiveModel(encoders(), "mse")
    with pytest.raises(ValueError, match="has no metrics of labels"):
        compiled().compile("adam", metrics=["accuracy"])
    with pytest.raises(ValueError, match=r"A batch must be a dict of \['image', 'text'\]"):
        compiled().fit(PAIRS["image"], verbose=0)
    with pytest.raises(ValueError, match="none for query 1"):
        recall_at_k(np.eye(2), np.eye(2), query_groups=[0, 1], candidate_groups=[0, 0])


REPLICAS = """
    import numpy as np
    from two_replicas import check_same_history, check_same_weights, strategies
    strategies = strategies()
    from test_contrastive_model import PAIRS, compiled
    import tf_transfer as tft
    for loss in (tft.losses.InfoNCE(0.3), tft.losses.SigmoidContrastive(0.3, bias=-2.0)):
        for groups in (None, np.arange(12) % 5):
            results = []
            for strategy in strategies:
                with strategy.scope():
                    model = compiled(loss, l2=0.1)
                history = model.fit(PAIRS, groups, batch_size=6, epochs=3, verbose=0, shuffle=False).history
                results.append((history, model))
            (a, one), (b, two) = results
            check_same_history(a, b, 1e-4)
            check_same_weights(one, two, 1e-4)
            print("equal")
"""


@pytest.mark.slow
def test_on_two_replicas_each_example_is_compared_with_those_of_both():
    assert two_replicas.run(REPLICAS, __file__) == ["equal"] * 4

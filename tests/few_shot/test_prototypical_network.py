"""Prototypical networks: against a computation by hand, as plain classifiers, and with batch normalization."""

import keras
import numpy as np
import pytest

import tf_transfer as tft

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(60, 6)) + 2 * RNG.normal(size=(10, 6)).repeat(6, axis=0)).astype("float32")
Y = np.arange(10).repeat(6)


def _encoder(normalized=False, seed=0):
    layers = [keras.Input((6,)), keras.layers.Dense(4, kernel_initializer=keras.initializers.GlorotUniform(seed))]
    return keras.Sequential([*layers, *([keras.layers.BatchNormalization()] if normalized else [])])


def _episodes(num=2, **options):
    return tft.data.episodes(X, Y, ways=3, shots=2, queries=3, batch_size=num, seed=0, **options)


def _scores(logits):
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_logits_and_loss_by_hand(distance):
    model = tft.few_shot.PrototypicalNetwork(_encoder(), distance)
    model.compile("sgd")
    inputs, y = next(iter(_episodes(num_episodes=2, fixed=True)))
    kernel, bias = model.encoder.get_weights()
    expected = np.zeros((2, 9, 3))
    for e in range(2):
        support, query = inputs["support"][e].numpy() @ kernel + bias, inputs["query"][e].numpy() @ kernel + bias
        for way in range(3):
            members = support[inputs["support_labels"][e].numpy() == way]
            for q in range(9):
                if distance == "euclidean":
                    expected[e, q, way] = -np.sum((query[q] - members.mean(0)) ** 2)
                else:
                    units = members / np.linalg.norm(members, axis=1, keepdims=True)
                    mean = units.mean(0)
                    cosine = query[q] @ mean / np.linalg.norm(query[q]) / np.linalg.norm(mean)
                    expected[e, q, way] = 10 * cosine
    np.testing.assert_allclose(model(inputs), expected, rtol=1e-4, atol=1e-4)
    right = np.take_along_axis(_scores(expected), y.numpy()[..., None], -1)
    loss = model.evaluate(_episodes(num_episodes=2, fixed=True), verbose=0, return_dict=True)
    assert loss["loss"] == pytest.approx(-np.log(right).mean(), rel=1e-4)
    assert loss["accuracy"] == pytest.approx((expected.argmax(-1) == y.numpy()).mean())


def test_one_step_of_sgd_is_the_gradient_of_the_objective():
    model = tft.few_shot.PrototypicalNetwork(_encoder())
    model.compile(keras.optimizers.SGD(0.1))
    inputs, y = next(iter(_episodes(num_episodes=2, fixed=True)))
    kernel, bias = model.encoder.get_weights()

    def loss_of(kernel):
        total = 0.0
        for e in range(2):
            support, query = inputs["support"][e].numpy() @ kernel + bias, inputs["query"][e].numpy() @ kernel + bias
            prototypes = support.reshape(3, 2, 4).mean(1)
            logits = -np.square(query[:, None] - prototypes[None]).sum(-1)
            total -= np.log(_scores(logits)[np.arange(9), y[e].numpy()]).mean() / 2
        return total

    gradient = np.zeros_like(kernel, "float64")
    for index in np.ndindex(*kernel.shape):
        step = np.zeros_like(kernel, "float64")
        step[index] = 1e-4
        gradient[index] = (loss_of(kernel + step) - loss_of(kernel - step)) / 2e-4
    model.fit(_episodes(num_episodes=2, fixed=True), verbose=0)
    np.testing.assert_allclose(model.encoder.get_weights()[0], kernel - 0.1 * gradient, atol=1e-4)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_the_plain_classifier_says_what_the_network_says(distance, tmp_path):
    model = tft.few_shot.PrototypicalNetwork(_encoder(), distance)
    inputs, _ = next(iter(_episodes(1)))
    classifier = model.adapt(inputs["support"][0].numpy(), inputs["support_labels"][0].numpy(), ["a", "b", "c"])
    expected = _scores(model(inputs).numpy()[0])
    np.testing.assert_allclose(classifier.predict(inputs["query"][0], verbose=0), expected, atol=1e-5)
    path = tft.export(classifier, tmp_path / "classifier")
    assert tft.serving.load(path).class_names == ["a", "b", "c"]
    for layer in classifier.layers:
        assert type(layer).__module__.startswith("keras.")


def test_training_teaches_classes_that_were_never_seen():
    rng = np.random.default_rng(1)
    # What tells classes apart is in two coordinates; eight louder ones are noise.
    x = np.concatenate([rng.normal(size=(20, 2)).repeat(10, axis=0) * 2, rng.normal(0, 4, (200, 8))], axis=1)
    x[:, :2] += rng.normal(0, 0.3, (200, 2))
    y = np.arange(20).repeat(10)
    model = tft.few_shot.PrototypicalNetwork(keras.Sequential([keras.Input((10,)), keras.layers.Dense(2)]))
    model.compile(keras.optimizers.Adam(0.02))
    known, unknown = tft.data.split_classes(y, (0.6, 0.4), seed=0)
    test = tft.data.episodes(x, y, 4, 1, 3, classes=unknown, fixed=True, seed=1)
    before = model.evaluate_episodes(test, 100).accuracy
    model.fit(tft.data.episodes(x, y, 4, 1, 3, classes=known, num_episodes=200, seed=0), epochs=2, verbose=0)
    assert model.evaluate_episodes(test, 100).accuracy > before + 0.2


def test_batch_normalization_by_its_policy():
    inputs, _ = next(iter(_episodes(2)))
    encoder = _encoder(normalized=True)
    encoder.layers[1].set_weights([np.full(4, 1.5), np.ones(4), np.full(4, 3.0), np.full(4, 0.25)])
    alone = {name: part[:1] for name, part in inputs.items()}
    fewer = {**inputs, "query": inputs["query"][:, :4]}
    moving, batch = (tft.few_shot.PrototypicalNetwork(encoder, transductive=which) for which in (False, True))
    # By moving statistics a query is answered by itself; by those of the episode its neighbours count.
    np.testing.assert_allclose(moving(fewer), moving(inputs)[:, :4], atol=1e-4)
    assert np.abs(batch(fewer) - batch(inputs)[:, :4]).max() > 1e-2
    # An episode does not depend on others in its batch.
    np.testing.assert_allclose(batch(alone)[0], batch(inputs)[0], atol=1e-4)
    kernel, bias = encoder.layers[0].get_weights()
    found = np.concatenate([inputs["support"][0], inputs["query"][0]]) @ kernel + bias
    normal = 1.5 * (found - found.mean(0)) / np.sqrt(found.var(0) + 1e-3) + 1.0
    expected = -np.square(normal[6:, None] - normal[:6].reshape(3, 2, 4).mean(1)[None]).sum(-1)
    np.testing.assert_allclose(batch(inputs)[0], expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(encoder.layers[1].moving_mean, np.full(4, 3.0))


def test_a_builders_model_gives_its_encoder():
    builder = tft.ImageClassifier(
        num_classes=2, weights=None, input_shape=(32, 32, 3), backbone_options={"alpha": 0.35}
    )
    model = tft.few_shot.PrototypicalNetwork(builder.build())
    images = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")
    assert model.adapt(images, np.arange(4) // 2).predict(images, verbose=0).shape == (4, 2)
    assert model.deployable().output_shape == (None, 1280)


def _texts():
    words = ["red apple", "green pear", "blue sky", "grey cloud"]
    x, y = np.array([f"{words[i % 4]} {i // 4}" for i in range(16)], dtype=object), np.arange(16) % 4
    builder = tft.TextClassifier(num_classes=2, backbone_options={"dim": 4}).adapt(x, verbose=0)
    return builder.build(), x, y


def _tables():
    rng, y = np.random.default_rng(0), np.arange(16) % 4
    table = {"age": 40 + 10 * y + rng.normal(size=16), "ward": np.array(["A", "B"])[y // 2]}
    builder = tft.TabularClassifier(columns=["age", "ward"], num_classes=2, hidden_units=[4]).adapt(table)
    x = {name: np.asarray(column) for name, column in builder.inputs(table).items()}
    return builder.build(), x, y


def _sounds():
    y = np.arange(16) % 4
    x = np.sin(np.arange(1600) * (0.05 + 0.1 * y[:, None])) + 0.1 * np.random.default_rng(0).normal(size=(16, 1600))
    builder = tft.AudioClassifier(num_classes=2, sample_rate=8000, seconds=0.2, num_mel_bins=16)
    return builder.build(), x.astype("float32"), y


@pytest.mark.parametrize("made", [_texts, _tables, pytest.param(_sounds, marks=pytest.mark.slow)])
def test_builders_of_other_inputs_get_a_head_of_few_examples_and_are_trained(made):
    network, x, y = made()
    model = tft.few_shot.PrototypicalNetwork(network)
    model.compile("adam")
    stream = tft.data.episodes(x, y, 3, 2, 2, num_episodes=2, fixed=True, seed=0)
    assert np.isfinite(model.fit(stream, verbose=0).history["loss"][0])
    inputs, _ = next(iter(stream))
    support, query = ({k: v[0] for k, v in part.items()} if isinstance(part, dict) else part[0]
                      for part in (inputs["support"], inputs["query"]))  # fmt: skip
    classifier = model.adapt(support, inputs["support_labels"][0].numpy())
    np.testing.assert_allclose(
        classifier.predict(query, verbose=0), _scores(model(inputs).numpy()[0]), rtol=1e-3, atol=1e-5
    )


def test_the_interval_and_the_number_of_episodes():
    model = tft.few_shot.PrototypicalNetwork(_encoder())
    evaluation = tft.few_shot.evaluate_episodes(model, _episodes(4), num_episodes=10)
    assert len(evaluation.accuracies) == 10
    low, high = evaluation.interval()
    half = 2.262 * evaluation.accuracies.std(ddof=1) / np.sqrt(10)
    assert low == pytest.approx(evaluation.accuracy - half, abs=1e-3)
    assert len(tft.few_shot.evaluate_episodes(model, _episodes(num_episodes=6), None).accuracies) == 6
    with pytest.raises(ValueError, match="ended after 6 episodes"):
        tft.few_shot.evaluate_episodes(model, _episodes(num_episodes=6), 7)
    with pytest.raises(ValueError, match="endless"):
        tft.few_shot.evaluate_episodes(model, _episodes(), None)

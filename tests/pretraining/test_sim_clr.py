"""SimCLR: its loss and figures against NumPy, what it learns to forget, and what it shares with Keras' training."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import two_replicas

import tf_transfer as tft
from tf_transfer.pretraining import MaskedAutoencoder, RandomViews, SimCLR

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (12, 8, 8, 3)).astype("float32")


def encoder(l2=0.0, norm=False):
    regularizer = keras.regularizers.L2(l2) if l2 else None
    draw = keras.initializers.GlorotUniform(seed=1)
    convolution = keras.layers.Conv2D(6, 3, 2, kernel_initializer=draw, kernel_regularizer=regularizer)
    layers = [keras.layers.Rescaling(1 / 255), convolution, *([keras.layers.BatchNormalization()] if norm else [])]
    pooled = [keras.layers.ReLU(), keras.layers.GlobalAveragePooling2D()]
    return keras.Sequential([keras.Input((8, 8, 3)), *layers, *pooled])


def compiled(optimizer=None, method=SimCLR, **options):
    l2 = options.pop("l2", 0.0)
    own = {"projection": [5, 4], "temperature": 0.4} if method is SimCLR else {"patch_size": 4, "decoder_width": 4}
    model = method(encoder(l2), seed=3, **own, **options)
    model.compile(optimizer or keras.optimizers.SGD(0.1))
    return model


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def figures(first, second, temperature):
    """Returns loss, accuracy, alignment and uniformity of two views, from all pairs of views."""
    views = np.concatenate([unit(first), unit(second)])
    cosines, number = views @ views.T, len(first)
    partner = np.roll(np.arange(2 * number), number)
    others = ~np.eye(2 * number, dtype=bool)
    losses = [
        np.log(np.exp(cosines[i, others[i]] / temperature).sum()) - cosines[i, partner[i]] / temperature
        for i in range(2 * number)
    ]
    nearest = np.where(others, cosines, -2)[:number].argmax(axis=1)
    apart = cosines[:number, :number][others[:number, :number]]
    return {
        "contrastive_loss": np.mean(losses),
        "contrastive_accuracy": np.mean(nearest == partner[:number]),
        "alignment": np.mean(((views[:number] - views[number:]) ** 2).sum(axis=1)),
        "uniformity": np.log(np.mean(np.exp(-2 * (2 - 2 * apart)))),
    }


def test_a_step_has_the_loss_of_two_views_and_says_how_good_they_are():
    model = compiled(keras.optimizers.SGD(0.0), l2=0.1)
    views = RandomViews(seed=3)
    pairs = [np.array(model.projector(model.encoder(views(IMAGES)))) for _ in range(2)]
    history = model.fit(IMAGES, batch_size=12, shuffle=False, verbose=0).history
    for name, expected in figures(*pairs, 0.4).items():
        assert history[name][0] == pytest.approx(expected, rel=1e-3, abs=1e-4), name
    penalty = 0.1 * float(np.sum(np.square(model.encoder.layers[1].kernel)))
    assert history["loss"][0] == pytest.approx(history["contrastive_loss"][0] + penalty, rel=1e-4)
    assert sorted(history) == ["alignment", "contrastive_accuracy", "contrastive_loss", "loss", "uniformity"]


@pytest.mark.slow
def test_each_epoch_has_views_of_its_own_and_an_evaluation_always_the_same():
    model = compiled(keras.optimizers.SGD(0.0))
    losses = model.fit(IMAGES, batch_size=12, epochs=3, verbose=0).history["loss"]
    assert len(set(losses)) == 3
    evaluated = [model.evaluate(IMAGES, batch_size=6, verbose=0) for _ in range(2)]
    assert evaluated[0] == evaluated[1] not in losses
    # An evaluation between takes nothing away from the training behind it.
    other = compiled(keras.optimizers.SGD(0.0))
    history = other.fit(IMAGES, batch_size=12, epochs=3, validation_data=IMAGES, verbose=0).history
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-6)
    assert len(set(history["val_loss"])) == 1


class NewChannels(keras.layers.Layer):
    """Draws the last two channels anew, as an augmentation changes what does not matter."""

    def __init__(self):
        super().__init__()
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, images, training=True):
        kept = images[..., :2]
        return keras.ops.concatenate([kept, keras.random.normal(keras.ops.shape(kept), seed=self.seeds)], axis=-1)


def test_what_the_views_change_is_forgotten_and_what_they_keep_is_not():
    content = RNG.normal(size=(256, 1, 1, 2))
    images = np.concatenate([content, RNG.normal(size=content.shape)], axis=-1).astype("float32")
    draw = keras.initializers.GlorotUniform(seed=0)
    features = keras.layers.Dense(3, use_bias=False, kernel_initializer=draw)
    linear = keras.Sequential([keras.Input((1, 1, 4)), keras.layers.Flatten(), features])
    model = SimCLR(linear, NewChannels(), projection=(3,), temperature=0.5, seed=0)

    def counts():
        return np.split(np.linalg.norm(features.kernel @ model.projector.layers[-1].kernel, axis=1), 2)

    kept, forgotten = counts()
    assert forgotten.max() > 0.3 * kept.min(), "at first all four count"
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(images, batch_size=64, epochs=15, verbose=0)
    kept, forgotten = counts()
    assert forgotten.max() < 0.1 * kept.min(), (kept, forgotten)


@pytest.mark.slow
def test_a_temperature_follows_its_schedule_and_several_steps_can_be_one_call():
    options = {"temperature": tft.schedules.linear(0.8, 0.2)}
    one, several = (SimCLR(encoder(), projection=[4], seed=3, **options) for _ in range(2))
    one.compile(keras.optimizers.SGD(0.1))
    several.compile(keras.optimizers.SGD(0.1), steps_per_execution=3)
    found = [each.fit(IMAGES, batch_size=4, epochs=2, verbose=0).history["loss"] for each in (one, several)]
    np.testing.assert_allclose(*found, rtol=1e-5)
    # Of six steps the last has five sixths behind it.
    assert float(one.temperature) == pytest.approx(0.3, abs=1e-6)
    again = SimCLR.from_config(one.get_config())
    assert float(again.temperature) == pytest.approx(0.8) and again.get_config() == one.get_config()


def test_what_can_not_be_is_said():
    with pytest.raises(ValueError, match=r"learns from images alone. Received: \['class_weight'\]"):
        compiled().fit(IMAGES, class_weight={0: 1.0}, verbose=0)
    frozen = compiled()
    frozen.encoder.trainable = False
    with pytest.raises(ValueError, match="is frozen, so that nothing of it would be pretrained"):
        frozen.fit(IMAGES, verbose=0)
    with pytest.raises(ValueError, match="loss of a SimCLR is that of its constructor"):
        compiled().compile("adam", metrics=["accuracy"])


@pytest.mark.slow
@pytest.mark.parametrize("method", [SimCLR, MaskedAutoencoder])
def test_mixed_precision_has_the_loss_of_full_precision(method):
    full = compiled(method=method).fit(IMAGES, epochs=2, verbose=0).history["loss"]
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = compiled(method=method)
    finally:
        keras.config.set_dtype_policy("float32")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    np.testing.assert_allclose(model.fit(IMAGES, epochs=2, verbose=0).history["loss"], full, rtol=0.02)


def gratings(number, seed):
    """Returns grey stripes of three directions, of any phase, width and contrast, in noise, and the directions."""
    rng = np.random.default_rng(seed)
    labels = np.arange(number) % 3
    angle = (labels * 60 + rng.uniform(-12, 12, number)) * np.pi / 180
    rows, columns = np.meshgrid(np.arange(20), np.arange(20), indexing="ij")
    along = np.cos(angle)[:, None, None] * columns + np.sin(angle)[:, None, None] * rows
    frequency, phase, contrast = (rng.uniform(*each, (number, 1, 1)) for each in ((0.6, 1.0), (0, 6.3), (20, 60)))
    stripes = 128 + contrast * np.sin(frequency * along + phase) + rng.normal(0, 30, along.shape)
    return np.clip(stripes, 0, 255)[..., None].astype("float32"), labels


@pytest.mark.slow
def test_classes_come_apart_without_labels():
    images, labels = gratings(600, 0)
    layers = [keras.Input((20, 20, 1)), keras.layers.Rescaling(1 / 128, offset=-1)]
    for filters in (16, 32):
        layers += [keras.layers.Conv2D(filters, 5, 2, padding="same"), keras.layers.BatchNormalization(momentum=0.9)]
        layers += [keras.layers.ReLU()]
    network = keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D()])
    tft.backbones.reinitialize(network, 0)
    few, test = (images[:30], labels[:30]), gratings(300, 1)
    before = tft.analysis.linear_probe(network, few, test)
    model = SimCLR(network, RandomViews(crop=(0.5, 1.0), flip=False, seed=0), projection=16, seed=0)
    model.compile(keras.optimizers.Adam(2e-3))
    model.fit(images, batch_size=200, epochs=25, verbose=0)
    after = tft.analysis.linear_probe(network, few, test)
    # Ten labels a class; the intervals of both accuracies are apart.
    assert after.accuracy_interval()[0] > before.accuracy_interval()[1], (before, after)


def run(code, *, killed=False):
    """Runs Python code in a process of its own, which knows the names of this file, and returns what it printed."""
    head = f"import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}]\n"
    done = subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert (done.returncode == 0) != killed, done.stdout + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_both_methods_open_in_another_process_and_train_on(tmp_path):
    models = {method.__name__: compiled(keras.optimizers.Adam(0.01), method) for method in (SimCLR, MaskedAutoencoder)}
    for name, model in models.items():
        model.fit(IMAGES, batch_size=4, epochs=2, verbose=0)
        model.save(tmp_path / f"{name}.keras")
    np.save(tmp_path / "images.npy", IMAGES)
    printed = run(f"""
        import json, keras, numpy as np, tf_transfer
        images, found = np.load({str(tmp_path / "images.npy")!r}), {{}}
        for name in ("SimCLR", "MaskedAutoencoder"):
            model = keras.models.load_model({str(tmp_path)!r} + f"/{{name}}.keras", safe_mode=True)
            before = model.predict(images, verbose=0).tolist()
            loss = model.fit(images, batch_size=4, epochs=3, initial_epoch=2, verbose=0).history["loss"]
            found[name] = [int(model.optimizer.iterations), before, loss]
        print(json.dumps(found))
    """)
    for name, (steps, before, loss) in json.loads(printed.strip().splitlines()[-1]).items():
        np.testing.assert_allclose(before, models[name].predict(IMAGES, verbose=0), rtol=1e-5, atol=1e-6)
        here = models[name].fit(IMAGES, batch_size=4, epochs=3, initial_epoch=2, verbose=0).history["loss"]
        np.testing.assert_allclose(loss, here, rtol=1e-4, err_msg=name)
        assert steps == 9, f"{name} began anew"


KILLED = """
    import os, signal, keras
    from test_sim_clr import *
    from tf_transfer.data.unlabelled_batches import unlabelled_batches
    class Killing(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == {epoch}:
                os.kill(os.getpid(), signal.SIGKILL)
    model = compiled(keras.optimizers.Adam(0.01))
    stream = unlabelled_batches(IMAGES, 4, (8, 8, 3), shuffle=True, seed=0)
    with tft.training.RunState({state!r}, verbose=0) as state:
        history = state.fit("simclr", model, stream, epochs=4, callbacks=[Killing()], verbose=0).history
        print(json.dumps([history["loss"], [each.tolist() for each in model.get_weights()]]))
"""


@pytest.mark.slow
def test_a_pretraining_that_was_killed_ends_as_it_would_have(tmp_path):
    whole = run(KILLED.format(epoch=-1, state=str(tmp_path / "whole")))
    state = str(tmp_path / "state")
    run(KILLED.format(epoch=2, state=state), killed=True)
    resumed = run(KILLED.format(epoch=-1, state=state))
    assert resumed.strip().splitlines()[-1] == whole.strip().splitlines()[-1]
    assert len(json.loads(whole.strip().splitlines()[-1])[0]) == 4


REPLICAS = """
    from two_replicas import check_same_history, check_same_weights, strategies
    strategies = strategies()
    from test_sim_clr import *
    for method in (SimCLR, MaskedAutoencoder):
        results = []
        for strategy in strategies:
            with strategy.scope():
                model = compiled(method=method, l2=0.1)
            options = {"batch_size": 6, "epochs": 3, "validation_data": IMAGES, "shuffle": False, "verbose": 0}
            history = model.fit(IMAGES, **options).history
            results.append((history, model))
        (a, one), (b, two) = results
        check_same_history(a, b, 1e-4, method.__name__)
        check_same_weights(one, two, 1e-4, method.__name__)
        print(method.__name__)
"""


@pytest.mark.slow
def test_two_replicas_train_as_one_device():
    assert two_replicas.run(REPLICAS, __file__) == ["SimCLR", "MaskedAutoencoder"]


@pytest.mark.slow
def test_what_was_pretrained_is_a_backbone_like_any_other(tmp_path):
    model = compiled(keras.optimizers.Adam(0.01))
    model.fit(IMAGES, batch_size=6, verbose=0)
    model.deployable().save(tmp_path / "encoder.keras")
    labels, expected = np.arange(12) % 2, model.predict(IMAGES, verbose=0)
    for backbone in (model.deployable(), f"file:{tmp_path / 'encoder.keras'}"):
        builder = tft.ImageClassifier(num_classes=2, backbone=backbone, dropout=0.0, seed=0)
        classifier = builder.build()
        features = tft.backbones.split_at_backbone(classifier)[0]
        np.testing.assert_allclose(features.predict(IMAGES, verbose=0), expected, rtol=1e-4, atol=1e-5)
        data = (IMAGES, labels)
        tft.fine_tune(classifier, data, data, freeze_epochs=2, epochs=1, unfreeze=True, seed=0, verbose=0)
    strangers = {type(each).__module__.split(".")[0] for each in classifier._flatten_layers()}
    assert strangers == {"keras"}, "a classifier needs nothing of the pretraining"
    path = tft.export(classifier, tmp_path / "flowers", class_names=["a", "b"], verify="saved_model")
    served = tf.saved_model.load(path).signatures["serving_default"](image=tf.constant(IMAGES))
    np.testing.assert_allclose(served["scores"], classifier.predict(IMAGES, verbose=0), atol=1e-5)

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_transfer.caching import CachedFeatures, FeatureCache, RandomStreamError, feature_extraction, feature_store
from tf_transfer.caching.backbone_key import backbone_key, first_random_layer

X = np.random.default_rng(0).normal(size=(10, 6, 6, 2)).astype("float32")
Y = np.arange(10)


def stream(x=X, y=Y, batch_size=4):
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(batch_size)


def backbone(scale=2.0, pool=True, name=None, dtype=None, dropout=0.5):
    initializer = keras.initializers.RandomNormal(stddev=0.1, seed=3)
    inputs = keras.Input((6, 6, 2))
    hidden = keras.layers.Rescaling(scale)(inputs)
    hidden = keras.layers.Conv2D(3, 3, kernel_initializer=initializer, name=name, dtype=dtype)(hidden)
    hidden = keras.layers.BatchNormalization()(hidden)
    hidden = keras.layers.Dropout(dropout)(hidden)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(hidden) if pool else hidden)


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "cache")


@pytest.fixture
def no_extraction(monkeypatch):
    def forbid():
        def run(self):
            raise AssertionError("the backbone ran although its features were there")

        monkeypatch.setattr(feature_extraction.Extraction, "run", run)

    return forbid


@pytest.mark.parametrize("pool", [True, False])
def test_features_are_the_backbones_in_inference_mode_beside_their_labels(cache, pool):
    model = backbone(pool=pool)
    cached = cache.features(model, stream(), verbose=0)
    np.testing.assert_allclose(cached.features, model.predict(X, verbose=0), atol=1e-6)
    np.testing.assert_array_equal(cached.labels, Y)
    assert cached.sample_weight is None
    assert len(cached) == 10


def test_found_again_whatever_the_order_the_names_and_the_flags(cache, no_extraction):
    cache.features(backbone(), stream(), verbose=0)
    no_extraction()
    other = backbone(name="another_name")
    other.trainable = False
    shuffled = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(10).batch(3)
    cached = cache.features(other, shuffled, verbose=0)
    np.testing.assert_allclose(cached.features, other.predict(X, verbose=0)[cached.labels], atol=1e-6)


def test_a_shuffled_stream_is_cached_beside_its_own_labels(cache):
    model = backbone()
    cached = cache.features(model, tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(10).batch(3), verbose=0)
    assert sorted(cached.labels) == list(range(10))
    np.testing.assert_allclose(cached.features, model.predict(X, verbose=0)[cached.labels], atol=1e-6)


def heavier(model):
    """The same configuration with other weights: one of the batch normalization's statistics."""
    weights = model.get_weights()
    weights[-1] = weights[-1] * 1.5
    model.set_weights(weights)
    return model


def changed(array, index):
    copy = array.copy()
    copy[index] += 1
    return copy


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (lambda: backbone(scale=2.5), stream),
        (lambda: heavier(backbone()), stream),
        (lambda: backbone(pool=False), stream),
        (lambda: backbone(dtype="mixed_bfloat16"), stream),
        (backbone, lambda: stream(changed(X, (9, 5, 5, 1)))),
        (backbone, lambda: stream(X, changed(Y, 3))),
        (backbone, lambda: stream(X, Y.astype("int32"))),
        (backbone, lambda: stream(X[:9], Y[:9])),
    ],
    ids=["preprocessing", "weights", "architecture", "policy", "pixel", "label", "dtype", "length"],
)
def test_anything_that_changes_features_or_labels_makes_a_new_entry(cache, model, data):
    cache.features(backbone(), stream(), verbose=0)
    cache.features(model(), data(), verbose=0)
    assert len(cache.entries()) == 2


def test_an_adapted_vocabulary_is_part_of_the_key():
    def text_backbone(words):
        lookup = keras.layers.StringLookup(output_mode="one_hot")
        lookup.adapt(words)
        layers = [keras.Input((1,), dtype="string"), lookup, keras.layers.Dense(2, kernel_initializer="ones")]
        return keras.Sequential(layers)

    assert backbone_key(text_backbone(["a", "b"])) == backbone_key(text_backbone(["a", "b"]))
    assert backbone_key(text_backbone(["a", "b"])) != backbone_key(text_backbone(["a", "c"]))


def test_a_backbone_without_config_is_refused(cache):
    class Opaque(keras.Model):
        def __init__(self, function):
            super().__init__()
            self.function = function

        def call(self, inputs):
            return self.function(inputs)

    with pytest.raises(ValueError, match="Define `get_config`"):
        cache.features(Opaque(lambda inputs: inputs), stream(), verbose=0)


def test_a_single_layer_is_a_backbone_too(cache):
    layer = keras.layers.GlobalMaxPooling2D()
    np.testing.assert_array_equal(cache.features(layer, stream(), verbose=0).features, X.max(axis=(1, 2)))


def test_an_augmented_stream_raises_before_the_backbone_runs(cache, no_extraction):
    no_extraction()
    noisy = stream().map(lambda x, y: (x + tf.random.uniform(()), y))
    with pytest.raises(RandomStreamError, match="augmentation"):
        cache.features(backbone(), noisy, verbose=0)
    assert cache.entries() == []


def test_a_stream_that_turns_random_late_is_noticed_and_leaves_nothing(cache):
    late = stream().map(lambda x, y: (tf.where(y[0] > 3, x + tf.random.uniform(()), x), y))
    with pytest.raises(RandomStreamError, match="augmentation"):
        cache.features(backbone(), late, verbose=0)
    assert list(cache.directory.iterdir()) == []


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.RandomFlip(seed=1),
        keras.layers.Dropout(0.1),
        keras.layers.GaussianNoise(0.1),
        keras.layers.SpatialDropout2D(0.1),
        keras.Sequential([keras.layers.Rescaling(2.0), keras.layers.RandomRotation(0.1)]),
        keras.layers.Pipeline([keras.layers.RandomZoom(0.1)]),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_random_layers_before_the_backbone_are_refused_by_name(cache, layer):
    inputs = keras.Input((6, 6, 2))
    model = keras.Model(inputs, backbone()(layer(inputs), training=False))
    with pytest.raises(RandomStreamError, match="stands before the backbone"):
        cache.features(model, stream(), verbose=0)


def test_random_layers_inside_the_backbone_or_off_are_not():
    inputs = keras.Input((6, 6, 2))
    assert first_random_layer(backbone()) is None
    assert first_random_layer(keras.Model(inputs, backbone()(keras.layers.Dropout(0.0)(inputs)))) is None
    # Two branches: that one of them is trained does not hide the noise on the other.
    trained = keras.layers.Conv2D(2, 1)(inputs)
    for _ in range(4):
        trained = keras.layers.Activation("relu")(trained)
    noise = keras.layers.GaussianNoise(0.1, name="noise")
    model = keras.Model(inputs, keras.layers.Add()([trained, noise(keras.layers.Rescaling(1.0)(inputs))]))
    assert first_random_layer(model) is noise


CHILD = """
    import os, sys, time
    import keras, numpy as np, tensorflow as tf
    from tf_transfer.caching import FeatureCache, feature_extraction
    model = keras.models.load_model(sys.argv[2])
    x = np.random.default_rng(0).normal(size=(10, 6, 6, 2)).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((x, np.arange(10))).batch(4)
    mode = sys.argv[3]
    if mode == "stuck":
        write = feature_extraction.Extraction._write
        def stuck(self, batch):
            write(self, batch)
            print("halfway", flush=True)
            time.sleep(300)
        feature_extraction.Extraction._write = stuck
    if mode == "found":
        feature_extraction.Extraction.run = None
    if mode == "race":
        # Both wait here, in the middle of the extraction, for the other one.
        write = feature_extraction.Extraction._write
        def together(self, batch):
            write(self, batch)
            open(sys.argv[2] + f".{os.getpid()}.here", "w").close()
            folder, start = os.path.dirname(sys.argv[2]), time.time()
            while len([f for f in os.listdir(folder) if f.endswith(".here")]) < 2 and time.time() - start < 120:
                time.sleep(0.05)
        feature_extraction.Extraction._write = together
    cached = FeatureCache(sys.argv[1]).features(model, data, verbose=0)
    print("sum", f"{np.abs(np.asarray(cached.features)).sum():.4f}")
"""


def start(directory, model_path, mode):
    command = [sys.executable, "-c", textwrap.dedent(CHILD), str(directory), str(model_path), mode]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.slow
def test_processes_share_race_and_die_without_harm(cache, tmp_path):
    model = backbone()
    model.save(tmp_path / "model.keras")
    expected = f"sum {np.abs(model.predict(X, verbose=0)).sum():.4f}"

    victim = start(cache.directory, tmp_path / "model.keras", "stuck")
    assert "halfway" in victim.stdout.readline()
    victim.send_signal(signal.SIGKILL)
    victim.communicate(timeout=60)
    assert [path.name.startswith(".tmp-") for path in cache.directory.iterdir()] == [True]
    assert cache.entries() == []

    race = [start(cache.directory, tmp_path / "model.keras", "race") for _ in range(2)]
    outputs = [process.communicate(timeout=300) for process in race]
    assert [expected in out for out, _ in outputs] == [True, True], outputs
    # One entry, and neither the other's work nor what the killed process left.
    assert len(cache.entries()) == 1
    assert len(list(cache.directory.iterdir())) == 1

    reader = start(cache.directory, tmp_path / "model.keras", "found")
    out, err = reader.communicate(timeout=300)
    assert expected in out, err[-2000:]


def damage(folder, how):
    file = folder / "features_0.bin"
    if how == "truncated":
        os.truncate(file, file.stat().st_size - 4)
    elif how == "flipped":
        data = bytearray(file.read_bytes())
        data[5] ^= 1
        file.write_bytes(bytes(data))
    elif how == "missing":
        file.unlink()
    elif how == "no manifest":
        (folder / "manifest.json").unlink()
    else:
        (folder / "manifest.json").write_text('{"format": 1, "col')


@pytest.mark.parametrize("how", ["truncated", "flipped", "missing", "no manifest", "half a manifest"])
def test_damaged_files_are_noticed_and_computed_anew(cache, how, capsys):
    model = backbone()
    cache.features(model, stream(), verbose=0)
    (folder,) = [path for path in cache.directory.iterdir()]
    damage(folder, how)
    cached = cache.features(model, stream())
    assert "damaged" in capsys.readouterr().out
    np.testing.assert_allclose(cached.features, model.predict(X, verbose=0), atol=1e-6)
    assert len(list(cache.directory.iterdir())) == 1


def test_too_little_room_is_said_before_the_pass(cache, monkeypatch):
    monkeypatch.setattr(feature_store, "free_bytes", lambda directory: 100)
    with pytest.raises(OSError, match=r"MB is needed.*Nothing was kept") as raised:
        cache.features(backbone(), stream(), verbose=0)
    assert raised.value.errno == errno.ENOSPC
    assert list(cache.directory.iterdir()) == []


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_disk_that_fills_up_or_an_interruption_leaves_nothing(cache, monkeypatch, error):
    append = feature_store.ColumnWriter.append

    def failing(self, rows):
        if self.num_rows >= 4:
            raise error
        append(self, rows)

    monkeypatch.setattr(feature_store.ColumnWriter, "append", failing)
    with pytest.raises(type(error), match="Nothing was kept" if isinstance(error, OSError) else None):
        cache.features(backbone(), stream(), verbose=0)
    assert list(cache.directory.iterdir()) == []


def test_features_go_to_disk_as_they_come(cache):
    sizes = []
    model = backbone(pool=False)

    def look(y):
        sizes.extend(file.stat().st_size for file in cache.directory.glob(".tmp-*/features_0.bin"))
        return y

    x, y = np.repeat(X, 60, axis=0), np.arange(600)
    data = stream(x, y, batch_size=60).map(
        lambda x, y: (x, tf.ensure_shape(tf.numpy_function(look, [y], y.dtype), [None]))
    )
    cache.features(model, data, verbose=0)
    whole = 600 * 4 * 4 * 3 * 4
    assert whole / 3 < max(sizes) < whole


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (lambda: (X, Y), {}, "must be a batched `tf.data.Dataset`"),
        (lambda: stream().repeat(), {}, "Say with `steps`"),
        (lambda: stream().take(0), {}, "no examples"),
        (lambda: stream(X, np.array(["a"] * 10)), {}, "dense numbers"),
        (lambda: tf.data.Dataset.from_tensor_slices((X, Y)), {}, "must be batched"),
        (stream, {"steps": 0}, "`steps` must be an integer of at least 1"),
        (stream, {"batch_size": 0}, "`batch_size` must be an integer of at least 1"),
    ],
)
def test_unusable_streams_are_refused(cache, data, options, message):
    with pytest.raises(ValueError, match=message):
        cache.features(backbone(), data(), verbose=0, **options)
    assert not cache.directory.exists()


def test_an_endless_stream_with_steps(cache):
    assert len(cache.features(backbone(), stream().repeat(), steps=5, verbose=0)) == 4 + 4 + 2 + 4 + 4


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="must be a folder"):
        FeatureCache(tmp_path / "file")
    with pytest.raises(ValueError, match="cannot be made"):
        FeatureCache(tmp_path / "file" / "below").features(backbone(), stream(), verbose=0)


def test_the_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TF_TRANSFER_CACHE", str(tmp_path))
    assert FeatureCache().directory == tmp_path / "features"
    monkeypatch.delenv("TF_TRANSFER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert FeatureCache().directory == tmp_path / "xdg" / "tf_transfer" / "features"


def test_clear_keeps_what_is_not_ours(cache):
    cache.features(backbone(), stream(), verbose=0)
    (cache.directory / "thesis").mkdir()
    (cache.directory / "notes.txt").write_text("mine")
    manifest = json.loads(next(cache.directory.glob("*/manifest.json")).read_text())
    files = sum(path.stat().st_size for path in cache.directory.glob("*/*.*"))
    assert cache.size() == files
    assert manifest["about"]["num_examples"] == cache.entries()[0]["num_examples"] == 10
    assert cache.clear() == 1
    assert sorted(path.name for path in cache.directory.iterdir()) == ["notes.txt", "thesis"]


def test_weights_structured_labels_and_half_precision(cache):
    record = (X.astype("float16"), {"b": Y, "a": (Y * 2.0, Y > 4)}, np.linspace(0.0, 1.0, 10, dtype="float32"))
    data = tf.data.Dataset.from_tensor_slices(record).batch(4)
    cached = cache.features(keras.layers.GlobalMaxPooling2D(dtype="bfloat16"), data, verbose=0)
    assert cached.features.dtype == tf.bfloat16.as_numpy_dtype
    np.testing.assert_array_equal(cached.labels["a"][0], Y * 2.0)
    np.testing.assert_array_equal(cached.labels["a"][1], Y > 4)
    for features, labels, weight in cached.dataset(10):
        np.testing.assert_array_equal(features.numpy(), np.asarray(cached.features))
        np.testing.assert_array_equal(labels["b"].numpy(), Y)
        np.testing.assert_array_equal(weight.numpy(), record[2])


def test_inputs_alone(cache):
    cached = cache.features(backbone(), tf.data.Dataset.from_tensor_slices(X).batch(4), verbose=0)
    assert cached.labels is None
    assert next(iter(cached.dataset(4))).shape == (4, 3)


@pytest.mark.parametrize("limit", [2**30, 0], ids=["memory", "disk"])
def test_dataset_order_shuffle_and_seed(cache, monkeypatch, limit):
    monkeypatch.setattr("tf_transfer.caching.cached_features._IN_MEMORY_BYTES", limit)
    cached = cache.features(backbone(), stream(), verbose=0)

    def epoch(dataset):
        batches = list(dataset.as_numpy_iterator())
        for features, labels in batches:
            np.testing.assert_array_equal(features, cached.features[labels])
        return [int(label) for _, labels in batches for label in labels]

    plain, shuffled = cached.dataset(4), cached.dataset(4, shuffle=True, seed=7)
    assert plain.element_spec[0].shape == (None, 3)
    assert int(plain.cardinality()) == 3
    assert epoch(plain) == list(range(10))
    first, second = epoch(shuffled), epoch(shuffled)
    assert first != second
    assert sorted(first) == sorted(second) == list(range(10))
    again = cached.dataset(4, shuffle=True, seed=7)
    assert [epoch(again), epoch(again)] == [first, second]


@pytest.mark.parametrize("limit", [2**30, 0], ids=["memory", "disk"])
def test_a_head_on_the_cache_ends_where_plain_training_of_the_frozen_model_does(cache, monkeypatch, limit):
    monkeypatch.setattr("tf_transfer.caching.cached_features._IN_MEMORY_BYTES", limit)
    # `fit` switches dropout on even inside a frozen backbone; cached features are those of inference.
    base = backbone(dropout=0.0)
    base.trainable = False

    def head():
        return keras.layers.Dense(2, activation="softmax", kernel_initializer=keras.initializers.GlorotUniform(seed=1))

    whole = keras.Model(base.input, head()(base(base.input, training=False)))
    small = keras.Sequential([keras.Input((3,)), head()])
    for model in (whole, small):
        model.compile(keras.optimizers.Adam(0.1), "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    data = stream(X, Y % 2)
    weights = {0: 1.0, 1: 3.0}
    expected = whole.fit(data, validation_data=data, epochs=3, class_weight=weights, verbose=0)
    stored = cache.features(base, data, verbose=0).dataset(4)
    history = small.fit(stored, validation_data=stored, epochs=3, class_weight=weights, verbose=0)
    for name, values in expected.history.items():
        np.testing.assert_allclose(history.history[name], values, rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(small.get_weights()[0], whole.get_weights()[-2], rtol=1e-4)


def test_arrays_are_read_only_and_streams_say_what_is_wrong(cache):
    cached = cache.features(backbone(), stream(), verbose=0)
    with pytest.raises(ValueError, match="read-only"):
        cached.features[0] = 0.0
    with pytest.raises(ValueError, match="`batch_size` must be an integer of at least 1"):
        cached.dataset(batch_size=0)
    assert "10 examples" in repr(CachedFeatures(X, Y))
    assert Path(cache.directory).is_dir()

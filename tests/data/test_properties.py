"""What every public function of `tft.data` holds for any shapes, dtypes and encodings of labels."""

import contextlib
import io
import tempfile
import warnings
from pathlib import Path

import numpy as np
import properties_of_other_inputs  # noqa: F401  registers its own
import pytest
import tensorflow as tf
from hypothesis import strategies as some
from PIL import Image
from property_wall import (
    COUNTS,
    DTYPES,
    ENCODINGS,
    PROPERTIES,
    SEEDS,
    SHAPES,
    encoded,
    joined,
    property_of,
    run,
    says,
    values,
    write,
)

from tf_transfer import data


@property_of("as_dataset", n=COUNTS, shape=SHAPES, dtype=DTYPES, size=COUNTS, seed=SEEDS, shuffle=some.booleans())
def arrays_come_back_whole(n, shape, dtype, size, seed, shuffle):
    x, y = values((n, *shape), dtype, seed), np.arange(n)
    batches = data.as_dataset((x, y), batch_size=size, shuffle=shuffle, seed=seed)
    given_x, given_y = joined(batches)
    assert sorted(given_y) == list(range(n)) and len(list(batches)) == -(-n // size)
    expected = x.astype(np.float32) if dtype == "float64" else x
    expected = np.char.encode(expected) if dtype == "<U3" else expected
    np.testing.assert_array_equal(given_x, expected[given_y])


@property_of(
    "as_dataset",
    n=COUNTS,
    shape=SHAPES,
    seed=SEEDS,
    part=some.integers(0, 2),
    bad=some.sampled_from([np.nan, np.inf, -np.inf]),
)
def a_value_that_is_not_finite_is_named_with_its_example(n, shape, seed, part, bad):
    arrays = [np.ones((n, *shape), "float32"), np.zeros(n, "float32"), np.ones(n, "float64")]
    example = seed % n
    arrays[part][example] = bad
    with pytest.raises(
        ValueError, match=rf"`{['x', 'y', 'sample_weight'][part]}` must be finite.* example {example}\."
    ):
        data.as_dataset(tuple(arrays))
    stream = tf.data.Dataset.from_tensor_slices(tuple(each.astype("float32") for each in arrays)).batch(2)
    says(tf.errors.InvalidArgumentError, lambda: list(data.as_dataset(stream)))


@property_of("as_dataset", n=COUNTS, other=COUNTS, at=some.integers(0, 3))
def streams_that_change_their_shape_or_have_empty_batches_are_named(n, other, at):
    sides = [n] * 4
    sides[at] = other + 10
    spec = (tf.TensorSpec((None, None, 2), tf.float32), tf.TensorSpec((None,), tf.int64))

    def stream(sizes, counts):
        batches = [(np.zeros((count, side, 2)), np.zeros(count)) for side, count in zip(sizes, counts, strict=True)]
        return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=spec)

    assert len(list(data.as_dataset(stream([n] * 4, [1] * 4), input_shape=(n, 2)))) == 4
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"must have shape \(batch, {n}, 2\)"):
        list(data.as_dataset(stream(sides, [1] * 4), input_shape=(n, 2)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="A batch of the stream is empty"):
        list(data.as_dataset(stream([n] * 4, [int(number != at) for number in range(4)])))


@property_of(
    "check_labels", "balanced_class_weight", n=COUNTS, classes=some.integers(2, 6), encoding=ENCODINGS, seed=SEEDS
)
def every_encoding_of_labels_means_the_same(n, classes, encoding, seed):
    labels = np.random.default_rng(seed).integers(0, classes, n)
    y = encoded(labels, classes, encoding)
    np.testing.assert_array_equal(data.check_labels(y, classes), labels)
    weight = data.balanced_class_weight(y, classes)
    assert np.isclose(np.mean([weight[label] for label in labels]), 1)


@property_of(
    "check_labels", "balanced_class_weight", "match_labels",
    n=COUNTS, classes=some.integers(2, 6), seed=SEEDS,
    fault=some.sampled_from(["from one", "negative", "half", "nan", "text"]),
)  # fmt: skip
def wrong_labels_are_named(n, classes, seed, fault):
    labels = np.random.default_rng(seed).integers(0, classes, n)
    at = seed % n
    if fault == "from one":
        labels = labels + 1
        labels[at] = classes
    elif fault == "text":
        labels = np.array([f"class {label}" for label in labels])
    else:
        labels = labels.astype("float32")
        labels[at] = {"negative": -1, "half": 0.5, "nan": np.nan}[fault]
    says(ValueError, lambda: data.check_labels(labels, classes))
    says(ValueError, lambda: data.balanced_class_weight(labels, classes))
    if fault == "from one":
        with pytest.raises(ValueError, match="count from 1, it seems"):
            data.check_labels(labels, classes)
    stream = tf.data.Dataset.from_tensors((np.zeros((n, 1)), labels))
    says((ValueError, tf.errors.InvalidArgumentError), lambda: list(data.match_labels(stream, classes, one_hot=True)))


@property_of("match_labels", n=COUNTS, classes=some.integers(2, 6), encoding=ENCODINGS, seed=SEEDS)
def labels_become_one_hot_and_back(n, classes, encoding, seed):
    labels = np.random.default_rng(seed).integers(0, classes, n)
    stream = tf.data.Dataset.from_tensors((np.zeros((n, 1)), encoded(labels, classes, encoding)))
    np.testing.assert_array_equal(joined(data.match_labels(stream, classes, one_hot=False))[1], labels)
    np.testing.assert_array_equal(joined(data.match_labels(stream, classes, one_hot=True))[1], np.eye(classes)[labels])


@property_of(
    "pair_domains", n=some.integers(1, 7), m=some.integers(1, 7), size=some.integers(1, 4), shape=SHAPES, seed=SEEDS
)
def pairs_cover_the_longer_domain_once(n, m, size, shape, seed):
    x, target = np.ones((n, *shape), "float32"), np.ones((m, *shape), "float32")
    x *= np.arange(n).reshape(n, *[1] * len(shape))
    pairs = list(data.pair_domains((x, np.arange(n)), target, size, seed=seed, drop_remainder=False))
    seen = np.concatenate([y.numpy() for _, y in pairs])
    counts = np.bincount(seen, minlength=n)
    assert len(seen) == max(n, m) and counts.max() - counts.min() <= 1
    for batch, y in pairs:
        assert batch["source"].shape == batch["target"].shape == (len(y), *shape)
        np.testing.assert_array_equal(batch["source"].numpy().reshape(len(y), -1)[:, 0], y)


@property_of("fingerprint", "StreamFingerprint", n=COUNTS, shape=SHAPES, dtype=DTYPES, size=COUNTS, seed=SEEDS)
def fingerprints_know_examples_but_no_order(n, shape, dtype, size, seed):
    x, y = values((n, *shape), dtype, seed), np.arange(n)
    order = np.random.default_rng(seed).permutation(n)

    def of(*arrays):
        return data.fingerprint(tf.data.Dataset.from_tensor_slices(arrays).batch(size))

    whole = data.StreamFingerprint()
    whole.update((np.char.encode(x) if dtype == "<U3" else x, y))
    assert of(x[order], y[order]) == of(x, y)
    assert whole.num_examples == n and (dtype == "<U3" or whole.hexdigest() == of(x, y))
    assert of(x, y) != of(x, y + 1)


@property_of(
    "hold_out",
    n=some.integers(2, 30),
    classes=some.integers(1, 4),
    fraction=some.floats(0.05, 0.95),
    encoding=ENCODINGS,
)
def nothing_is_lost_or_doubled_by_holding_out(n, classes, fraction, encoding):
    labels = np.arange(n) % classes
    y = encoded(labels, max(classes, 2), encoding)
    parts = contextlib.nullcontext()
    # Floats and columns may be any targets, which are split at random.
    if np.bincount(labels).max() < 2 and encoding not in ("float32", "column"):
        parts = pytest.raises(ValueError, match="no class has two examples")
    with parts:
        (x, _), (x_out, y_out) = data.hold_out((np.arange(n), y), fraction, seed=n)
        assert sorted([*x, *x_out]) == list(range(n)) and len(x_out) == len(y_out) > 0 < len(x)


@property_of(
    "decode_image", height=some.integers(1, 20), width=some.integers(1, 20), channels=some.sampled_from([1, 3, 4]),
    mode=some.sampled_from(["L", "RGB", "RGBA", "P", "1", "LA", "I;16"]), seed=SEEDS,
)  # fmt: skip
def every_png_is_decoded(height, width, channels, mode, seed):
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 256, (height, width, 4), dtype=np.uint8), "RGBA")
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 65536, (height, width), dtype=np.uint16))
    buffer = io.BytesIO()
    (image if mode == "I;16" else image.convert(mode)).save(buffer, "PNG")
    decoded = data.decode_image(buffer.getvalue(), (height, width), channels).numpy()
    assert decoded.shape == (height, width, channels) and 0 <= decoded.min() <= decoded.max() <= 255
    if mode in ("L", "RGB") and channels == 3:
        np.testing.assert_array_equal(decoded, np.asarray(image.convert(mode).convert("RGB"), "float32"))


@property_of(
    "decode_image", "image_files", "BadImage", contents=some.binary(max_size=200), cut=some.integers(0, 90), seed=SEEDS
)
def any_bytes_are_an_image_or_named(contents, cut, seed):
    with tempfile.TemporaryDirectory() as folder:
        write(folder, "good.png", seed)
        whole = Path(folder, "good.png").read_bytes()
        for number, each in enumerate((contents, whole[: cut % len(whole)], whole[:cut] + contents + whole[cut:])):
            Path(folder, f"{number}.jpg").write_bytes(each)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            good = data.image_files(folder, skip_bad=True)
        assert f"{folder}/good.png" in good
        for file in good:
            assert data.decode_image(Path(file).read_bytes(), (2, 2)).shape == (2, 2, 3)


@property_of(
    "ImageFolder",
    "UnlabeledImages",
    "BadImage",
    counts=some.lists(some.integers(1, 3), min_size=2, max_size=3),
    seed=SEEDS,
)
def folders_give_each_image_once_and_leave_out_the_bad(counts, seed):
    with tempfile.TemporaryDirectory() as folder:
        for label, count in enumerate(counts):
            for number in range(count):
                write(folder, f"class{label}/{number}.png", seed + number)
        Path(folder, "class0", "bad.png").write_bytes(b"\x89PNG")
        with pytest.warns(UserWarning, match="Left out 1 of"):
            images = data.ImageFolder(folder, (2, 3), skip_bad=True)
        assert [isinstance(bad, data.BadImage) and bool(bad.reason) for bad in images.bad] == [True]
        x, y = joined(images.dataset(2, shuffle=True, seed=seed))
        assert np.bincount(y).tolist() == counts and x.shape == (sum(counts), 2, 3, 3)
        with pytest.warns(UserWarning, match="Left out 1 of"):
            assert len(data.UnlabeledImages(folder, (2, 3), skip_bad=True)) == sum(counts)
        with pytest.raises(ValueError, match=r"bad\.png: "):
            data.UnlabeledImages(folder, (2, 3))


@property_of(
    "augment", "recipe_names", "mixes_labels",
    n=some.integers(1, 3), side=some.integers(4, 9), channels=some.sampled_from([1, 3]), seed=SEEDS,
    recipe=some.sampled_from(data.recipe_names()),
)  # fmt: skip
def augmented_images_stay_images(n, side, channels, seed, recipe):
    x = values((n, side, side, channels), "uint8", seed)
    batches = tf.data.Dataset.from_tensors((x, np.arange(n) % 2))
    changed, y = next(iter(data.augment(batches, recipe, seed=seed, num_classes=2)))
    assert changed.shape == x.shape and 0 <= np.min(changed) <= np.max(changed) <= 255
    assert (y.shape == (n, 2)) == data.mixes_labels(recipe)
    np.testing.assert_array_equal(changed, next(iter(data.augment(batches, recipe, seed=seed, num_classes=2)))[0])


@property_of("preview", n=some.integers(1, 2), samples=some.integers(1, 2), channels=some.sampled_from([1, 3]))
def previews_show_all(n, samples, channels):
    figure = data.preview(np.zeros((n, 4, 4, channels)), "flip", num_samples=samples, seed=0)
    assert len(figure.axes) == n * (samples + 1)


def test_no_public_function_is_left_out():
    held = {name for body in PROPERTIES for name in body.names}
    assert held == set(data.__all__), f"without a property, or unknown: {sorted(held ^ set(data.__all__))}"


@pytest.mark.parametrize("body", PROPERTIES, ids=lambda body: body.__name__)
def test_few_examples(body):
    run(body, 3)


@pytest.mark.slow
@pytest.mark.parametrize("body", PROPERTIES, ids=lambda body: body.__name__)
def test_many_examples(body):
    run(body, 100)

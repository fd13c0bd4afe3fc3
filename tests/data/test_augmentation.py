"""Recipes: what they may change, what they must keep, and that randomness is owned."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_transfer.data import as_dataset, augment, episodes, mixes_labels, preview, recipe_names
from tf_transfer.data.recipes import recipe_layers

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (24, 12, 16, 3)).astype("float32")
Y = np.arange(24) % 3
W = RNG.random(24).astype("float32")
MIXED = ["mixup", "cutmix"]
OTHERS = ["flip", "light", "no_flip", "standard", "strong", "cutout"]


def source(x=X, batch_size=8):
    return as_dataset((x, Y[: len(x)], W[: len(x)]), batch_size=batch_size)


def epoch(dataset):
    return [np.concatenate(part) for part in zip(*dataset.as_numpy_iterator(), strict=True)]


def test_names():
    assert set(recipe_names()) == {"none", *OTHERS, "cutout_no_flip", *MIXED}


@pytest.mark.parametrize(
    ("recipe", "channels"),
    [*((name, 3) for name in OTHERS + MIXED), ("cutout_no_flip", 1), ("cutmix", 1), ("standard", 4)],
)
def test_range_size_labels_and_weights_are_kept(recipe, channels):
    x = np.concatenate([X, X], axis=-1)[..., :channels]
    dataset = augment(source(x), recipe, seed=1, num_classes=3)
    assert dataset.cardinality() == 3
    assert dataset.element_spec[0] == tf.TensorSpec((None, 12, 16, channels), tf.float32)
    images, labels, weights = epoch(dataset)
    assert images.min() >= 0
    assert images.max() <= 255
    assert 60 < images.mean() < 195
    assert not np.array_equal(images, x)
    np.testing.assert_array_equal(weights, W)
    if recipe in MIXED:
        assert labels.dtype == np.float32
        np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-5)
    else:
        assert labels.dtype == Y.dtype
        np.testing.assert_array_equal(labels, Y)


@pytest.mark.parametrize("recipe", [None, "none"])
def test_none_is_the_dataset_itself(recipe):
    dataset = source()
    assert augment(dataset, recipe) is dataset


@pytest.mark.parametrize("recipe", ["flip", "cutmix"])
def test_seed_repeats_the_stream_and_epochs_differ(recipe):
    def epochs(seed):
        dataset = augment(source(), recipe, seed=seed, num_classes=3)
        return [epoch(dataset)[0] for _ in range(2)]

    first = epochs(seed=4)
    np.testing.assert_array_equal(epochs(seed=4), first)
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(epochs(seed=5)[0], first[0])


def test_seed_repeats_the_stream_although_batches_run_in_parallel():
    x = np.full((400, 4, 4, 1), 100.0)

    def stream():
        dataset = tf.data.Dataset.from_tensor_slices((x, np.zeros(400))).batch(2)
        return epoch(augment(dataset, [keras.layers.RandomBrightness(0.3, seed=1)], seed=2))[0]

    first = stream()
    assert len(np.unique(first[:, 0, 0, 0])) > 390
    for _ in range(3):
        np.testing.assert_array_equal(stream(), first)


def test_layers_of_a_recipe_draw_each_for_itself():
    twice = [keras.layers.RandomFlip("horizontal"), keras.layers.RandomFlip("horizontal")]
    images, *_ = epoch(augment(source(), twice, seed=0))
    changed = [not np.array_equal(image, original) for image, original in zip(images, X, strict=True)]
    assert 4 < sum(changed) < 20


@pytest.mark.parametrize("recipe", MIXED)
def test_mixing_comes_after_the_standard_changes(recipe):
    kinds = [type(layer) for layer in recipe_layers(recipe)]
    assert kinds[:-1] == [type(layer) for layer in recipe_layers("standard")]
    assert kinds[-1] is {"mixup": keras.layers.MixUp, "cutmix": keras.layers.CutMix}[recipe]


def test_without_a_seed_streams_differ_and_the_global_generator_stays():
    state = tf.random.get_global_generator().state.numpy().tolist()
    streams = [epoch(augment(source(), "flip"))[0] for _ in range(2)]
    assert not np.array_equal(*streams)
    assert tf.random.get_global_generator().state.numpy().tolist() == state


@pytest.mark.parametrize("recipe", ["flip", "strong"])
def test_each_image_is_changed_by_itself(recipe):
    same = np.repeat(X[:1], 24, axis=0)
    images, *_ = epoch(augment(source(same, batch_size=24), recipe, seed=0))
    assert len({image.tobytes() for image in images}) >= (2 if recipe == "flip" else 20)


def test_flip_only_flips_and_flips_about_half():
    x = np.concatenate([X] * 10)
    dataset = tf.data.Dataset.from_tensor_slices((x, np.zeros(240))).batch(8)
    images, _ = epoch(augment(dataset, "flip", seed=0))
    flipped = np.array([np.array_equal(image, original[:, ::-1]) for image, original in zip(images, x, strict=True)])
    kept = np.array([np.array_equal(image, original) for image, original in zip(images, x, strict=True)])
    assert (flipped ^ kept).all()
    assert 80 < flipped.sum() < 160


@pytest.mark.parametrize(("recipe", "mirrors"), [("no_flip", False), ("light", True), ("standard", True)])
def test_mirrors_where_it_says_so(recipe, mirrors):
    brighter_to_the_right = np.linspace(60, 190, 32)[None, None, :, None]
    x = np.broadcast_to(brighter_to_the_right, (24, 32, 32, 3)).copy()
    images, *_ = epoch(augment(source(x, batch_size=24), recipe, seed=0))
    center = images[:, 12:20, 8:24].mean(axis=(1, 3))
    falls = center[:, -1] < center[:, 0]
    assert falls.any() == mirrors
    assert not falls.all()


def test_mixup_mixes_labels_as_it_mixes_pixels():
    values = np.array([10.0, 100.0, 250.0], "float32")
    x = np.broadcast_to(values[Y][:, None, None, None], (24, 4, 4, 1)).copy()
    images, labels, weights = epoch(augment(source(x), [keras.layers.MixUp(alpha=1.0)], seed=0, num_classes=3))
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(images, np.broadcast_to((labels @ values)[:, None, None, None], images.shape), rtol=1e-5)
    assert (labels.max(axis=1) < 0.999).sum() > 6
    np.testing.assert_array_equal(weights, W)


def test_cutmix_mixes_labels_by_area():
    size = 40
    values = np.array([10.0, 100.0, 250.0], "float32")
    x = np.broadcast_to(values[Y][:, None, None, None], (24, size, size, 1)).copy()
    images, labels, _ = epoch(augment(source(x), [keras.layers.CutMix()], seed=0, num_classes=3))
    assert set(np.unique(images)) == {10.0, 100.0, 250.0}
    areas = (images.reshape(24, -1, 1) == values).mean(axis=1)
    # The rectangle has real borders, its pixels whole ones: a row and a column may be rounded away.
    np.testing.assert_allclose(labels, areas, atol=2 / size + 1e-3)
    assert (labels.max(axis=1) < 0.99).sum() > 6


@pytest.mark.parametrize("recipe", MIXED)
def test_mixing_needs_the_number_of_classes(recipe):
    with pytest.raises(ValueError, match=rf"recipe='{recipe}' mixes labels, .*give `num_classes`"):
        augment(source(), recipe)


def test_mixes_labels():
    assert [name for name in recipe_names() if mixes_labels(name)] == MIXED
    assert not mixes_labels(None)
    assert mixes_labels([keras.layers.CutMix()])


def test_contrast_falls_as_well_as_it_rises():
    x = np.where(np.indices((8, 8)).sum(axis=0) % 2, 100.0, 150.0)
    x = np.broadcast_to(x[None, :, :, None], (24, 8, 8, 1)).copy()
    contrast = [layer for layer in recipe_layers("standard") if isinstance(layer, keras.layers.RandomContrast)]
    images, *_ = epoch(augment(source(x, 24), contrast, seed=0))
    ratio = images.std(axis=(1, 2, 3)) / x[0].std()
    assert 0.8 <= ratio.min() < 0.95
    assert 1.05 < ratio.max() <= 1.2 + 1e-5


def test_image_of_a_dictionary_is_changed_and_nothing_else():
    data = ({"image": X, "age": W[:, None]}, Y)
    x, y = next(iter(augment(as_dataset(data, batch_size=24), "flip", seed=0)))
    assert not np.array_equal(x["image"], X)
    np.testing.assert_array_equal(x["age"], W[:, None])
    with pytest.raises(ValueError, match=r'must have an "image" to augment\. Received: \[\'age\'\]'):
        augment(as_dataset(({"age": W}, Y)), "flip")


def test_images_of_episodes_are_changed_each_by_itself_and_stay_in_their_place():
    # Each image is of one grey of its own, so that a changed brightness tells where it came from.
    x = np.broadcast_to(np.arange(40.0, 64.0)[:, None, None, None], (24, 6, 6, 1)).copy()
    plain = episodes(
        x, np.arange(24) // 4, ways=3, shots=1, queries=2, num_episodes=8, batch_size=4, seed=0, fixed=True
    )
    assert augment(plain, None) is plain
    moved = augment(plain, [keras.layers.RandomBrightness(0.001)], seed=0)
    assert moved.cardinality() == plain.cardinality()
    for (before, labels), (after, kept) in zip(plain, moved, strict=True):
        np.testing.assert_array_equal(kept, labels)
        np.testing.assert_array_equal(after["support_labels"], before["support_labels"])
        for name, num in (("support", 3), ("query", 6)):
            assert after[name].shape == (4, num, 6, 6, 1)
            np.testing.assert_allclose(after[name], before[name], atol=0.3)
            shifts = (after[name] - before[name]).numpy()[..., 0, 0, 0]
            assert len(np.unique(shifts.round(6))) == shifts.size
    with pytest.raises(ValueError, match=r"recipe='mixup' mixes labels, and those of episodes are classes"):
        augment(plain, "mixup", num_classes=3)
    vectors = episodes(x[:, 0, :, 0], np.arange(24) // 4, ways=3, shots=1, queries=2)
    with pytest.raises(ValueError, match=r"x must be batches of images"):
        augment(vectors, "flip")


def test_endless_stream_stays_endless():
    dataset = augment(source().repeat(), "flip", seed=0)
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY


def test_own_layers_are_not_changed_and_may_be_nested():
    layer = keras.layers.RandomBrightness(0.2, seed=3)
    generator, state = layer.generator, layer.generator.state.numpy().tolist()
    nested = keras.Sequential([keras.layers.RandomFlip(), keras.layers.RandomRotation(0.1)])
    recipe = [layer, nested]
    streams = [epoch(augment(source(batch_size=4), recipe, seed=1))[0] for _ in range(2)]
    np.testing.assert_array_equal(*streams)
    assert layer.generator is generator
    assert generator.state.numpy().tolist() == state


def test_own_layer_that_leaves_the_range_is_clipped():
    images, *_ = epoch(augment(source(), [keras.layers.Rescaling(2.0, offset=-100.0)], seed=1))
    np.testing.assert_allclose(images, np.clip(2 * X - 100, 0, 255))


@pytest.fixture
def half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("recipe", ["flip", [keras.layers.RandomFlip], [keras.layers.MixUp]])
def test_a_half_precision_policy_does_not_round_pixels(half_precision, recipe):
    recipe = recipe if isinstance(recipe, str) else [layer() for layer in recipe]
    x = np.full((4, 4, 4, 3), 200.03, "float32")
    dataset = augment(tf.data.Dataset.from_tensors((x, [0, 1, 0, 1])), recipe, num_classes=2)
    images, _ = epoch(dataset)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images, x, atol=1e-4)


@pytest.mark.parametrize(
    ("recipe", "error", "message"),
    [
        ("standart", ValueError, r"`recipe` must be one of \['none'.*Did you mean 'standard'\?"),
        (3, TypeError, "or a list of Keras layers. Received: 3"),
        ([lambda x: x], TypeError, "or a list of Keras layers"),
        ([keras.Sequential([keras.layers.MixUp()])], ValueError, "must stand in `recipe` itself"),
    ],
)
def test_wrong_recipes(recipe, error, message):
    with pytest.raises(error, match=message):
        augment(source(), recipe, num_classes=3)


@pytest.mark.parametrize("seed", [-1, 1.5, "1"])
def test_wrong_seed(seed):
    with pytest.raises(ValueError, match="`seed` must be an integer"):
        augment(source(), "flip", seed=seed)


def test_single_images_are_refused():
    with pytest.raises(ValueError, match="x must be batches of images"):
        augment(tf.data.Dataset.from_tensor_slices((X, Y)), "flip")


def test_preview_shows_originals_and_samples():
    figure = preview(X[:2], "flip", num_samples=4, seed=1)
    assert len(figure.axes) == 10
    shown = [axis.images[0].get_array() for axis in figure.axes]
    np.testing.assert_array_equal(shown[0], X[0].astype("uint8"))
    np.testing.assert_array_equal(shown[5], X[1].astype("uint8"))
    assert len({sample.tobytes() for sample in shown[1:5]}) == 2
    assert len(preview(X[:3, ..., :1], [keras.layers.MixUp()], num_samples=1).axes) == 6

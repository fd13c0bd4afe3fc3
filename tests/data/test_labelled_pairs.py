"""`pair_labelled`: epochs, views and indices, from memory, folders and streams."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_transfer.data import ImageFolder, UnlabeledImages, pair_labelled

X, Y = np.arange(6, dtype="float32")[:, None], np.arange(6) % 2
MANY = np.arange(100, 124, dtype="float32")[:, None]


def column(batches, name):
    return np.concatenate([x[name].ravel() for x, *_ in batches])


def read(dataset):
    return list(dataset.as_numpy_iterator())


def test_few_examples_repeat_evenly_within_a_batch_and_epochs_differ():
    stream = pair_labelled((X, Y), MANY, batch_size=8, ratio=3, seed=0)
    assert stream.cardinality() == 1
    first, second = read(stream), read(stream)
    counts = np.bincount(column(first, "labelled").astype(int))
    assert set(counts) <= {1, 2} and counts.sum() == 8
    assert not np.array_equal(column(first, "unlabelled"), column(second, "unlabelled"))
    again = pair_labelled((X, Y), MANY, batch_size=8, ratio=3, seed=0)
    np.testing.assert_array_equal(column(read(again), "unlabelled"), column(first, "unlabelled"))


def test_an_epoch_covers_the_side_that_it_is_told():
    batches = read(pair_labelled((X, Y), MANY, batch_size=2, ratio=2, shuffle=False, epoch="labelled"))
    assert column(batches, "labelled").tolist() == [0, 1, 2, 3, 4, 5]
    assert column(batches, "unlabelled").tolist() == list(range(100, 112))
    assert len(read(pair_labelled((X, Y), MANY, batch_size=2, ratio=2))) == 6


def test_weights_labels_of_the_unlabelled_and_endless_streams():
    stream = tf.data.Dataset.from_tensor_slices((MANY, np.zeros(24))).repeat()
    stream = pair_labelled((X, Y, X[:, 0] / 10), stream, batch_size=3, ratio=2, shuffle=False)
    assert stream.cardinality() == tf.data.INFINITE_CARDINALITY
    x, y, weight = next(iter(stream))
    np.testing.assert_allclose(weight, [0.0, 0.1, 0.2])
    assert sorted(x) == ["labelled", "unlabelled"] and x["unlabelled"].shape == (3, 2, 1)
    unknown = tf.data.Dataset.from_tensor_slices(MANY).filter(lambda x: True)
    assert pair_labelled((X, Y), unlabelled=unknown, batch_size=3).cardinality() == tf.data.INFINITE_CARDINALITY


def test_views_come_from_one_original_and_the_labelled_side_is_weak():
    stream = pair_labelled((X, Y), MANY, 2, ratio=2, weak=lambda x: x + 0.25, strong=lambda x: -x, shuffle=False)
    x, _ = next(iter(stream))
    np.testing.assert_array_equal(x["labelled"], X[:2] + 0.25)
    np.testing.assert_array_equal(x["unlabelled"][..., 0], [[100.25, 101.25], [102.25, 103.25]])
    np.testing.assert_array_equal(x["strong"][..., 0], [[-100, -101], [-102, -103]])


def test_recipes_change_images_of_one_channel_and_repeat_with_the_seed():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 8, 8, 1)).astype("uint8")

    def views(seed):
        stream = pair_labelled(
            (images, np.arange(12)), images, 2, ratio=3, weak="flip", strong="cutout_no_flip", index=True, seed=seed
        )
        return read(stream)

    first, again = views(1), views(1)
    for (one, _), (other, _) in zip(first, again, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    x, _ = first[0]
    originals = images[x["index"].ravel()].astype("float32")
    weak, strong = (x[name].reshape(originals.shape) for name in ("unlabelled", "strong"))
    flipped = originals[:, :, ::-1]
    assert all(np.array_equal(a, b) or np.array_equal(a, c) for a, b, c in zip(weak, originals, flipped, strict=True))
    assert strong.min() >= 0 and strong.max() <= 255 and np.abs(strong - weak).mean() > 10


def test_inputs_of_several_parts_and_texts():
    labelled = ({"a": X, "b": np.array(["x", "y"] * 3)}, Y)
    unlabelled = {"a": MANY, "b": np.array(["z"] * 24)}
    x, _ = next(iter(pair_labelled(labelled, unlabelled, 3, ratio=2, strong=lambda x: {**x, "a": -x["a"]})))
    assert x["unlabelled"]["b"].shape == (3, 2) and x["strong"]["b"].numpy()[0, 0] == b"z"
    np.testing.assert_array_equal(x["strong"]["a"], -x["unlabelled"]["a"])


@pytest.mark.slow
def test_folders_say_which_of_their_files_is_which(tmp_path):
    for number in range(6):
        folder = tmp_path / ("even" if number % 2 == 0 else "odd")
        folder.mkdir(exist_ok=True)
        picture = np.full((4, 4, 3), 40 * number, "uint8")
        keras.utils.save_img(folder / f"{number}.png", picture, scale=False)
    labelled, images = ImageFolder(tmp_path, image_size=(4, 4)), UnlabeledImages(tmp_path, image_size=(4, 4))
    for unlabelled in (labelled, images):
        seen = []
        for x, _ in pair_labelled(labelled, unlabelled, 2, ratio=1, index=True, seed=0):
            for at, picture in zip(x["index"][:, 0].numpy(), x["unlabelled"][:, 0].numpy(), strict=True):
                assert picture.max() == 40 * int(unlabelled.files[at].split("/")[-1][0])
                seen.append(at)
        assert sorted(seen) == list(range(6))


def test_sides_that_differ_are_refused():
    with pytest.raises(ValueError, match="unlabelled must have the same structure"):
        pair_labelled((X, Y), np.zeros((24, 2)), 2, ratio=2)
    with pytest.raises(TypeError, match="`unlabelled` must be an array"):
        pair_labelled((X, Y), None, 2)

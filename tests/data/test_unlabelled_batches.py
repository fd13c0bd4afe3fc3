"""Images without labels, whatever holds them."""

import numpy as np
import pytest
import tensorflow as tf

import tf_transfer as tft
from tf_transfer.data.unlabelled_batches import unlabelled_batches

SHAPE = (8, 8, 3)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    path = tmp_path_factory.mktemp("images")
    images = np.random.default_rng(0).integers(0, 256, (12, *SHAPE), "uint8")
    for number, image in enumerate(images):
        tf.io.write_file(str(path / "ab"[number // 6] / f"{number:02}.png"), tf.io.encode_png(image))
    return {
        "array": images,
        "arrays": (images, np.arange(12) % 2),
        "files": tft.data.UnlabeledImages(path, SHAPE[:2]),
        "folder": tft.data.ImageFolder(path, SHAPE[:2]),
        "stream": tf.data.Dataset.from_tensor_slices(images),
        "labelled stream": tf.data.Dataset.from_tensor_slices((images, np.zeros(12))).batch(4),
    }


@pytest.mark.parametrize("kind", ["array", "arrays", "files", "folder", "stream", "labelled stream"])
def test_all_of_them_give_the_same_batches(sources, kind):
    batches = list(unlabelled_batches(sources[kind], 5, SHAPE))
    assert all(len(batch) == 1 and batch[0].dtype == "float32" for batch in batches)
    found = np.concatenate([x for (x,) in batches])
    # A stream keeps its last batch; of what is in memory or on disk it is left out.
    number = 12 if "stream" in kind else 10
    np.testing.assert_array_equal(found, sources["array"][:number])


@pytest.mark.parametrize("kind", ["array", "files"])
def test_each_epoch_has_an_order_of_its_own_and_less_than_a_batch_is_one(sources, kind):
    batches = unlabelled_batches(sources[kind], 12, SHAPE, shuffle=True, seed=1)
    first, second = (np.concatenate([x for (x,) in batches]) for _ in range(2))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.sort(first.ravel()), np.sort(second.ravel()))
    assert [x.shape[0] for (x,) in unlabelled_batches(sources[kind], 100, SHAPE)] == [12]


def test_images_of_another_size_are_refused(sources):
    for kind in ("array", "files", "stream"):
        with pytest.raises(ValueError, match="8, 8, 1"):
            unlabelled_batches(sources[kind], 4, (8, 8, 1))

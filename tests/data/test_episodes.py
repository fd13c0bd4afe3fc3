"""Episodes: who is in them, that support and query share nothing, turned classes, streams from arrays and folders."""

import numpy as np
import pytest
import tensorflow as tf

import tf_transfer as tft

# Example i of class c is the number 100 c + i, so that a draw tells where it is from.
X = np.array([100 * c + i for c in range(8) for i in range(6)])
Y = np.arange(8).repeat(6)


def _read(stream):
    return [({name: part.numpy() for name, part in x.items()}, y.numpy()) for x, y in stream]


def test_an_episode_has_ways_classes_and_no_example_twice():
    for x, y in _read(tft.data.episodes(X, Y, 4, 2, 3, num_episodes=40, seed=0)):
        support, query = x["support"][0], x["query"][0]
        assert (support.shape, query.shape) == ((8,), (12,))
        np.testing.assert_array_equal(x["support_labels"][0], np.arange(4).repeat(2))
        np.testing.assert_array_equal(y[0], np.arange(4).repeat(3))
        kinds = support.reshape(4, 2)[:, 0] // 100
        assert len(set(kinds)) == 4
        np.testing.assert_array_equal(support // 100, kinds.repeat(2))
        np.testing.assert_array_equal(query // 100, kinds.repeat(3))
        assert len({*support, *query}) == 20


def test_every_class_and_every_example_is_drawn_as_often():
    drawn = np.concatenate([
        np.concatenate([x["support"].ravel(), x["query"].ravel()])
        for x, _ in _read(tft.data.episodes(X, Y, 4, 1, 1, num_episodes=1500, batch_size=50, seed=1))
    ])  # fmt: skip
    counts = np.array([np.sum(drawn == each) for each in X])
    # 1500 episodes of 8 draws over 48 examples: 250 each, with a standard deviation below 14.
    assert counts.sum() == 12000 and counts.min() > 190 and counts.max() < 310


def test_classes_of_different_size_and_a_part_of_the_classes():
    y = np.repeat([3, 7, 9], [2, 40, 5])
    x = np.arange(len(y))
    for inputs, _ in _read(tft.data.episodes(x, y, 2, 2, 3, classes=[7, 9], num_episodes=20, seed=0)):
        drawn = np.concatenate([inputs["support"].ravel(), inputs["query"].ravel()])
        assert set(y[drawn]) == {7, 9} and len(set(drawn)) == 10
    with pytest.raises(ValueError, match="Class 3 has 2 examples; shots and queries take 5"):
        tft.data.episodes(x, y, 2, 2, 3)


def test_the_seed_gives_the_episodes_and_epochs_differ_unless_they_are_fixed():
    def epochs(**options):
        stream = tft.data.episodes(X, Y, 3, 1, 2, num_episodes=4, **options)
        return [np.concatenate([x["query"].ravel() for x, _ in _read(stream)]).tolist() for _ in range(2)]

    one, again = epochs(seed=5), epochs(seed=5)
    assert one == again and one[0] != one[1]
    assert epochs(seed=6)[0] != one[0]
    fixed = epochs(fixed=True)
    assert fixed[0] == fixed[1]


def test_turned_images_are_classes_of_their_own_and_turned_alike():
    images = np.random.default_rng(0).integers(0, 255, (6, 5, 5, 1), dtype=np.uint8)
    y = np.arange(2).repeat(3)
    turned = {
        np.rot90(images[i], k).tobytes(): (k, y[i], i) for i in range(6) for k in range(4)
    }  # fmt: skip
    seen = set()
    for x, _ in _read(tft.data.episodes(images, y, 5, 1, 1, rotations=True, num_episodes=60, seed=2)):
        kinds = [turned[image.tobytes()][:2] for image in x["support"][0]]
        assert len(set(kinds)) == 5
        assert [turned[image.tobytes()][:2] for image in x["query"][0]] == kinds
        seen |= set(kinds)
    assert len(seen) == 8
    with pytest.raises(ValueError, match="square images"):
        tft.data.episodes(images[:, :4], y, 2, 1, 1, rotations=True)
    with pytest.raises(ValueError, match="or rotations=True"):
        tft.data.episodes(images, y, 5, 1, 1)


def test_a_folder_is_read_as_it_is_drawn(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("ant", "bee", "cicada"):
        for i in range(3):
            tf.io.gfile.makedirs(str(tmp_path / name))
            pixels = tf.io.encode_png(rng.integers(0, 255, (4, 4, 3), dtype=np.uint8))
            tf.io.write_file(str(tmp_path / name / f"{i}.png"), pixels)
    folder = tft.data.ImageFolder(tmp_path, (4, 4))
    images, labels = (part.numpy() for part in next(iter(folder.dataset(len(folder)))))
    expected = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    for x, _ in _read(tft.data.episodes(folder, ways=2, shots=2, queries=1, num_episodes=3, seed=0)):
        assert x["support"].shape == (1, 4, 4, 4, 3)
        kinds = [expected[image.tobytes()] for image in x["support"][0]]
        assert kinds[0] == kinds[1] != kinds[2] == kinds[3]
    with pytest.raises(ValueError, match="leave out `y`"):
        tft.data.episodes(folder, labels)


def test_batches_of_episodes_and_endless_streams():
    stream = tft.data.episodes(X, Y, 3, 1, 2, batch_size=4, seed=0)
    assert stream.cardinality() == tf.data.INFINITE_CARDINALITY
    assert next(iter(stream))[0]["query"].shape == (4, 6)
    assert tft.data.episodes(X, Y, 3, 1, 2, num_episodes=8, batch_size=4).cardinality() == 2
    with pytest.raises(ValueError, match="multiple of `batch_size`"):
        tft.data.episodes(X, Y, 3, 1, 2, num_episodes=6, batch_size=4)


def test_splits_of_classes_share_none_and_follow_the_seed():
    parts = tft.data.split_classes(Y, (0.5, 0.25, 0.25), seed=3)
    assert [len(part) for part in parts] == [4, 2, 2]
    assert sorted(np.concatenate(parts)) == list(range(8))
    np.testing.assert_array_equal(parts[0], tft.data.split_classes(Y, (0.5, 0.25, 0.25), seed=3)[0])
    with pytest.raises(ValueError, match="sum to 1"):
        tft.data.split_classes(Y, (0.5, 0.25))
    with pytest.raises(ValueError, match="none may be empty"):
        tft.data.split_classes(Y, (0.98, 0.01, 0.01))


def test_an_example_on_both_sides_is_found():
    images = np.random.default_rng(0).integers(0, 255, (6, 3, 3))
    tft.data.check_disjoint(images[:3], images[3:])
    with pytest.raises(ValueError, match=r"1 of 3 examples.*such as example 1, which is example 2 there"):
        tft.data.check_disjoint(images[:3], images[[4, 2, 5]])

"""What the public functions of `tft.data` for texts, tables, sound, tasks and episodes hold for any input."""

import csv
import io
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from hypothesis import strategies as some
from property_wall import COUNTS, SEEDS, property_of, says
from scipy.io import wavfile

from tf_transfer import data

# What a CSV file can hold, commas, quotes and line ends among them; blanks at the ends are not kept.
TEXTS = some.text(
    some.characters(codec="utf-8", exclude_characters="\x00\r\ufeff", exclude_categories=["C"]), min_size=1
)
TEXTS = TEXTS.map(str.strip).filter(len)


def _csv(folder, header, rows):
    path = Path(folder, "rows.csv")
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@property_of("read_text", "LabelledText", texts=some.lists(TEXTS, min_size=2, max_size=12), seed=SEEDS)
def texts_come_back_as_they_were_written(texts, seed):
    labels = [("no", "yes")[each] for each in [0, 1, *np.random.default_rng(seed).integers(0, 2, len(texts) - 2)]]
    with tempfile.TemporaryDirectory() as folder:
        found = data.read_text(_csv(folder, ["text", "label"], zip(texts, labels, strict=True)))
        says(ValueError, lambda: data.read_text(_csv(folder, ["text", "label"], [(texts[0], "no"), (" ", "yes")])))
    assert isinstance(found, data.LabelledText)
    assert found.texts.tolist() == texts
    assert [found.class_names[label] for label in found.labels] == labels


@property_of(
    "read_table", "Table", "table_columns", "column_kinds",
    numbers=some.lists(some.none() | some.floats(-1e6, 1e6, width=32), min_size=3, max_size=12), seed=SEEDS,
)  # fmt: skip
def tables_keep_numbers_words_and_gaps(numbers, seed):
    numbers = [1.0, 2.0, *numbers]
    words = np.random.default_rng(seed).choice(["a", "b", ""], len(numbers))
    target = ["no", "yes", *np.random.default_rng(seed).choice(["no", "yes"], len(numbers) - 2)]
    rows = [("" if x is None else repr(x), *rest) for x, *rest in zip(numbers, words, target, strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        path = _csv(folder, ["x", "word", "y"], rows)
        table = data.read_table(path, "y", columns=["x", "word"], verbose=False)
        says(ValueError, lambda: data.read_table(path, "z", verbose=False))
    assert isinstance(table, data.Table)
    np.testing.assert_array_equal(table["x"], [np.nan if x is None else x for x in numbers])
    if any(words):
        assert table["word"].tolist() == words.tolist()
    assert [table.class_names[label] for label in table.y] == target
    again = data.table_columns({"x": numbers})["x"]
    np.testing.assert_array_equal(again, table["x"])
    assert set(data.column_kinds({"x": numbers}).values()) == {"number"}


@property_of("align_tables", "AlignedTables", both=some.integers(1, 4), first=COUNTS, second=COUNTS)
def aligned_tables_have_the_same_columns(both, first, second):
    source = {f"c{i}": np.arange(first) for i in range(both + 1)}
    target = {f"c{i}": np.arange(second) for i in [*range(both), 99]}
    for keep, num in (("common", both), ("source", both + 1)):
        aligned = data.align_tables(source, target, keep, verbose=False)
        assert isinstance(aligned, data.AlignedTables)
        assert list(aligned.source) == list(aligned.target) and len(aligned.source) == num
        assert (aligned.only_source, aligned.only_target) == ((f"c{both}",), ("c99",))
    says(ValueError, lambda: data.align_tables(source, {"other": [1]}, verbose=False))


@property_of("read_word_vectors", "WordVectors", n=COUNTS, dim=COUNTS, seed=SEEDS)
def word_vectors_come_back_for_the_words_that_are_asked_for(n, dim, seed):
    vectors = np.random.default_rng(seed).normal(size=(n, dim)).astype("float32")
    words = [f"word{i}" for i in range(n)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "vectors.txt")
        lines = [" ".join([word, *map(repr, map(float, row))]) for word, row in zip(words, vectors, strict=True)]
        path.write_text("\n".join(lines) + "\n")
        found = data.read_word_vectors(path, words[::2])
        path.write_text(lines[0] + "\nother 1.0 nan x\n")
        says(ValueError, lambda: data.read_word_vectors(path))
    assert isinstance(found, data.WordVectors) and found.words == words[::2]
    np.testing.assert_allclose(found.vectors, vectors[::2], rtol=1e-6)


@property_of(
    "decode_audio", "AudioFolder", "ClassFolder", "BadRecording",
    n=some.integers(1, 400), wanted=some.integers(1, 400), seed=SEEDS,
)  # fmt: skip
def sound_of_one_rate_is_cut_or_filled_and_else_as_it_was(n, wanted, seed):
    samples = np.random.default_rng(seed).integers(-(2**15), 2**15, n).astype(np.int16)
    file = io.BytesIO()
    wavfile.write(file, 1000, samples)
    expected = np.zeros(wanted, "float32")
    expected[: min(n, wanted)] = samples[:wanted] / 2**15
    np.testing.assert_allclose(data.decode_audio(file.getvalue(), 1000, wanted), expected, atol=1e-7)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a", "b"):
            Path(folder, name).mkdir()
            Path(folder, name, "1.wav").write_bytes(file.getvalue())
        recordings = data.AudioFolder(folder, sample_rate=1000, seconds=wanted / 1000)
        assert isinstance(recordings, data.ClassFolder)
        (x, y), *_ = recordings.dataset(2).as_numpy_iterator()
        np.testing.assert_allclose(x, [expected] * 2, atol=1e-7)
        Path(folder, "b", "2.wav").write_bytes(file.getvalue()[:20])
        says(ValueError, lambda: data.AudioFolder(folder, sample_rate=1000, seconds=1))
        assert isinstance(next(iter(_kept(folder).bad)), data.BadRecording)


def _kept(folder):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return data.AudioFolder(folder, sample_rate=1000, seconds=1, skip_bad=True)


@property_of("augment_audio", "audio_recipe_names", n=some.integers(1, 3), size=some.integers(400, 1200), seed=SEEDS)
def sound_keeps_its_shape_and_its_labels(n, size, seed):
    waves = np.random.default_rng(seed).normal(size=(n, size)).astype("float32")
    dataset = data.as_dataset((waves, np.arange(n)), batch_size=n)
    for recipe in [*data.audio_recipe_names(), None]:
        ((x, y),) = data.augment_audio(dataset, recipe, sample_rate=8000, seed=seed).as_numpy_iterator()
        assert (x.shape, x.dtype) == (waves.shape, np.float32) and np.isfinite(x).all()
        np.testing.assert_array_equal(y, np.arange(n))
        # What is masked is gone, and nothing is added.
        assert np.linalg.norm(x) <= np.linalg.norm(waves) * 1.001


@property_of("mix_tasks", first=COUNTS, second=COUNTS, size=some.integers(2, 6), seed=SEEDS)
def mixed_tasks_have_labels_where_their_data_has_them(first, second, size, seed):
    digits, ages = (np.zeros((first, 1)), np.arange(first)), (np.ones((second, 1)), np.arange(second) + 0.5)
    stream = data.mix_tasks({"digit": digits, "age": ages}, batch_size=size, seed=seed)
    seen = [set(), set()]
    for x, y in stream.as_numpy_iterator():
        is_age = x[:, 0] == 1
        np.testing.assert_array_equal(y["digit"] == -1, is_age)
        np.testing.assert_array_equal(np.isnan(y["age"]), ~is_age)
        seen[0] |= set(y["digit"][~is_age].tolist())
        seen[1] |= set(y["age"][is_age].tolist())
    longer = int(second > first)
    assert len(seen[longer]) == max(first, second) or first == second


@property_of(
    "episodes", "split_classes", "check_disjoint",
    classes=some.integers(3, 7), each=some.integers(3, 5), ways=some.integers(2, 3), seed=SEEDS,
)  # fmt: skip
def episodes_share_no_example_and_splits_no_class(classes, each, ways, seed):
    x, y = np.arange(classes * each), np.arange(classes).repeat(each)
    parts = data.split_classes(y, (0.5, 0.5), seed=seed) if classes > 3 else (np.arange(classes),)
    assert sorted(np.concatenate(parts)) == list(range(classes))
    first, *others = parts
    for other in others:
        data.check_disjoint(x[np.isin(y, first)][:, None], x[np.isin(y, other)][:, None])
    ways = min(ways, len(first))
    if ways < 2:
        return
    stream = data.episodes(x, y, ways, 1, 2, classes=first, num_episodes=2, seed=seed)
    for inputs, labels in stream.as_numpy_iterator():
        drawn = np.concatenate([inputs["support"][0], inputs["query"][0]])
        assert len(set(drawn)) == 3 * ways and set(drawn // each) <= set(first)
        kinds = inputs["support"][0] // each
        np.testing.assert_array_equal(inputs["query"][0] // each, kinds[labels[0]])
    assert stream.cardinality() == 2 and isinstance(stream, tf.data.Dataset)


@property_of(
    "partition_clients",
    n=some.integers(4, 30), clients=some.integers(1, 4), classes=some.integers(1, 4), seed=SEEDS,
    skew=some.sampled_from([None, "shards", "dirichlet"]),
)  # fmt: skip
def clients_share_no_example_and_have_all(n, clients, classes, seed, skew):
    y = np.random.default_rng(seed).integers(0, classes, n)
    try:
        parts = data.partition_clients(y, clients, skew, alpha=2.0, shards_per_client=1, seed=seed)
    except ValueError as error:
        assert skew == "dirichlet" and "larger `alpha`" in str(error)
        return
    assert len(parts) == clients and min(map(len, parts)) > 0
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(n))
    if skew != "dirichlet":
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


@property_of(
    "pair_labelled",
    few=some.integers(1, 9), many=some.integers(1, 40), size=some.integers(1, 4), ratio=some.integers(1, 3), seed=SEEDS,
)  # fmt: skip
def unlabelled_examples_come_once_and_labels_stay_with_theirs(few, many, size, ratio, seed):
    labelled, unlabelled = (np.arange(few), 10 * np.arange(few)), 100 + np.arange(many)
    if many < size * ratio:
        says(ValueError, lambda: data.pair_labelled(labelled, unlabelled, size, ratio=ratio))
        return
    stream = data.pair_labelled(labelled, unlabelled, size, ratio=ratio, strong=lambda x: -x, index=True, seed=seed)
    seen = []
    for x, y in stream.as_numpy_iterator():
        np.testing.assert_array_equal(y, 10 * x["labelled"])
        np.testing.assert_array_equal(x["strong"], -x["unlabelled"])
        np.testing.assert_array_equal(x["index"] + 100, x["unlabelled"])
        assert x["unlabelled"].shape == (size, ratio)
        seen.extend(x["unlabelled"].ravel())
    assert len(set(seen)) == len(seen) == many // (size * ratio) * size * ratio


@property_of(
    "folds", n=some.integers(2, 30), classes=some.integers(1, 4), num=some.integers(2, 6), repeats=some.integers(1, 2),
    seed=SEEDS,
)  # fmt: skip
def each_example_is_held_out_once_in_each_repeat(n, classes, num, repeats, seed):
    y = np.arange(n) % classes
    if np.bincount(y).min() < num:
        says(ValueError, lambda: list(data.folds((np.arange(n), y), num, num_repeats=repeats, seed=seed)))
        return
    held_out = []
    for (x, y_in), (x_out, y_out) in data.folds((np.arange(n), y), num, num_repeats=repeats, seed=seed):
        assert sorted([*x, *x_out]) == list(range(n))
        np.testing.assert_array_equal(y[x], y_in)
        shares = np.bincount(y_out, minlength=classes) - np.bincount(y) / num
        assert np.abs(shares).max() < 1
        held_out.extend(x_out)
    np.testing.assert_array_equal(np.bincount(held_out), repeats)

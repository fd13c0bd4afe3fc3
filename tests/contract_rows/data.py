"""What each public object of `tft.data` holds beyond its docstring."""

import numpy as np
import tensorflow as tf

import tf_transfer as tft

from contract_parts import check_refuses
from contract_registry import row
from contract_toys import images


@row("data.decode_image")
def _(decode_image):
    check_refuses(lambda: decode_image(b"no image", (8, 8), channels=2), "channels")


@row("data.as_dataset")
def _(as_dataset):
    check_refuses(lambda: as_dataset(3), "Received: int")
    check_refuses(lambda: as_dataset((images(), np.arange(7))), "8", "7")
    check_refuses(lambda: as_dataset((images(), np.arange(8)), num_classes=3), "from 0 to 2", "Received")
    check_refuses(lambda: as_dataset((images(), np.arange(8)), batch_size=0), "`batch_size`", "at least 1")


@row("data.folds")
def _(folds):
    check_refuses(lambda: list(folds((images(), np.arange(8) % 2), 5)), "the smallest class, 4")
    check_refuses(lambda: list(folds((images(), np.arange(7) % 2), 2)), "8", "7")


@row("data.hold_out")
def _(hold_out):
    check_refuses(lambda: hold_out((images(), np.arange(7) % 2), 0.25), "8", "7")
    check_refuses(lambda: hold_out((images(), np.arange(8) % 2), 1.5), "1.5")


@row("data.ImageFolder")
def _(image_folder):
    check_refuses(lambda: image_folder("no/such/folder", (8, 8)), "no/such/folder")


@row("data.AudioFolder")
def _(audio_folder):
    check_refuses(lambda: audio_folder("no/such/folder"), "no/such/folder")
    check_refuses(lambda: audio_folder("no/such/folder", 100), "`sample_rate`", "Received")


@row("data.BadRecording", example_in="data.AudioFolder")
def _(bad_recording):
    assert bad_recording._fields == ("file", "reason")


@row("data.ClassFolder")
def _(class_folder):
    assert issubclass(tft.data.AudioFolder, class_folder)
    assert not issubclass(tft.data.UnlabeledImages, class_folder)


@row("data.decode_audio")
def _(decode_audio):
    check_refuses(lambda: decode_audio(b"no sound", 8000), "The recording is no WAV file")


@row("data.augment_audio")
def _(augment_audio):
    batches = tft.data.as_dataset((np.zeros((4, 800), "float32"), np.arange(4)))
    check_refuses(lambda: augment_audio(batches, "standrd", sample_rate=8000), "Did you mean 'standard'?")
    check_refuses(lambda: augment_audio(tft.data.as_dataset((images(), np.arange(8))), sample_rate=8000), "Received")


@row("data.audio_recipe_names")
def _(audio_recipe_names):
    assert "standard" in audio_recipe_names()


@row("data.UnlabeledImages")
def _(unlabeled_images):
    check_refuses(lambda: unlabeled_images("no/such/folder", (8, 8)), "no/such/folder")
    check_refuses(lambda: unlabeled_images("no/such/folder", (8, 8), channels=2), "`channels`", "Received")


@row("data.pair_domains")
def _(pair_domains):
    source = (images(), np.arange(8))
    check_refuses(lambda: pair_domains(images(), images()), "A source must be a tuple", "Received: ndarray")
    check_refuses(lambda: pair_domains(source, images()[:, 1:], 4), "of source and target must have", "shape")
    check_refuses(lambda: pair_domains(source, images(), 16), "16", "Received: 8", "`drop_remainder=False`")
    check_refuses(lambda: pair_domains(source, images(), epoch="short"), "Did you mean 'shorter'?")
    check_refuses(lambda: pair_domains(pair_domains(source, images(), 4), images()), "already paired")


@row("data.pair_labelled")
def _(pair_labelled):
    labelled = (images(), np.arange(8))
    check_refuses(lambda: pair_labelled(images(), images()), "`labelled` must be a tuple", "Received: ndarray")
    check_refuses(lambda: pair_labelled(labelled, images(), 4), "Received: 8 in all", "`ratio`")
    check_refuses(lambda: pair_labelled(labelled, images(), 4, ratio=1, epoch="all"), "`epoch`")
    check_refuses(lambda: pair_labelled(labelled, images(), 2, ratio=1, strong="mixup"), "strong='mixup'", "mix labels")
    stream = tf.data.Dataset.from_tensor_slices(images())
    check_refuses(lambda: pair_labelled(labelled, stream, 2, ratio=1, index=True), "index=True")


@row("data.image_files")
def _(image_files):
    check_refuses(lambda: image_files(["no_such.png"]), "no_such.png")


@row("data.BadImage", example_in="data.ImageFolder")
def _(bad_image):
    assert bad_image._fields == ("file", "reason")


@row("data.balanced_class_weight")
def _(balanced_class_weight):
    check_refuses(lambda: balanced_class_weight([0, 3], 3), "from 0 to 2", "Received: 3")


@row("data.check_labels")
def _(check_labels):
    check_refuses(lambda: check_labels(["cat", "dog"], 2), "np.unique")
    check_refuses(lambda: check_labels([0.5, 1.0], 2), "Received: 0.5")


@row("data.match_labels")
def _(match_labels):
    batches = tf.data.Dataset.from_tensors((images(), np.array(["a"] * 8)))
    check_refuses(lambda: match_labels(batches, 3, True), "strings")


@row("data.augment")
def _(augment):
    batches = tft.data.as_dataset((images(), np.arange(8) % 3))
    check_refuses(lambda: augment(batches, "standrd"), "Did you mean 'standard'?")
    check_refuses(lambda: augment(tf.data.Dataset.range(3)), "Received")


@row("data.preview")
def _(preview):
    check_refuses(lambda: preview(images(), num_samples=0), "`num_samples`")


@row("data.mixes_labels")
def _(mixes_labels):
    assert not mixes_labels(None)


@row("data.recipe_names")
def _(recipe_names):
    assert "standard" in recipe_names()


@row("data.fingerprint")
def _(fingerprint):
    check_refuses(lambda: fingerprint(tf.data.Dataset.range(3).batch(2).repeat()), "endless")


@row("data.StreamFingerprint")
def _(stream_fingerprint):
    check_refuses(lambda: stream_fingerprint().update((np.zeros(2), np.zeros(3))), "same first dimension")


@row("data.read_text")
def _(read_text):
    check_refuses(lambda: read_text("no_such.csv"), "no file", "no_such.csv")


@row("data.LabelledText")
def _(labelled_text):
    texts = labelled_text(np.array(["a", "b", "c", "d"], object), np.arange(4) % 2, ("no", "yes"), "a.csv")
    train, held_out = texts.split(0.5, seed=1)
    assert len(train) == len(held_out) == 2 and held_out.class_names == ("no", "yes")
    check_refuses(lambda: texts.split(1.5), "`validation_split`", "1.5")


@row("data.read_table")
def _(read_table):
    check_refuses(lambda: read_table("no_such.csv"), "no file", "no_such.csv")
    check_refuses(lambda: read_table("rows.csv", "y", "clasification"), "Did you mean 'classification'")


@row("data.Table", example_in="data.read_table")
def _(table):
    made = table({"age": np.array([1.0, np.nan])}, {"age": "number"}, path="rows.csv")
    assert dict(made) == made.columns and made.num_rows == 2 and "age (1 missing)" in str(made)


@row("data.table_columns")
def _(table_columns):
    check_refuses(lambda: table_columns([1, 2]), "pandas DataFrame", "list")
    check_refuses(lambda: table_columns({"age": [1]}, ["aeg"]), "Did you mean 'age'")


@row("data.column_kinds")
def _(column_kinds):
    assert column_kinds({"age": [1, 2], "note": ["a", "b"]}, ["note"]) == {"note": "category"}


@row("data.align_tables")
def _(align_tables):
    check_refuses(lambda: align_tables({"a": [1]}, {"a": [2]}, keep="both"), "`keep`", "common")


@row("data.AlignedTables", example_in="data.align_tables")
def _(aligned_tables):
    assert "1 in the target only, left out: b" in str(aligned_tables({"a": []}, {"a": []}, (), ("b",), ()))


@row("data.WordVectors")
def _(word_vectors):
    check_refuses(lambda: word_vectors(["a"], np.zeros((2, 3))), "one row a word", "(2, 3)")


@row("data.read_word_vectors")
def _(read_word_vectors):
    check_refuses(lambda: read_word_vectors("no_such.txt"), "no file of word vectors", "no_such.txt")


@row("data.mix_tasks")
def _(mix_tasks):
    check_refuses(lambda: mix_tasks([]), "`datasets`", "dict")
    x, y = np.zeros((4, 2)), np.arange(4)
    ((_, labels),) = mix_tasks({"a": (x, y), "b": (x, y / 2)}, batch_size=8, shuffle=False)
    assert labels["a"].numpy().tolist() == [0, -1, 1, -1, 2, -1, 3, -1] and np.isnan(labels["b"]).sum() == 4


@row("data.episodes")
def _(episodes):
    x, y = np.arange(12.0), np.arange(12) // 4
    check_refuses(lambda: episodes(x, y, 4, 1, 1), "3 classes are too few", "rotations=True")
    check_refuses(lambda: episodes(x, y, 2, 2, 3), "Class 0 has 4 examples")
    check_refuses(lambda: episodes(x, y, 2, 1, 1, classes=[0, 9]), "`classes`", "[9]")


@row("data.split_classes")
def _(split_classes):
    check_refuses(lambda: split_classes(np.arange(4), (0.5, 0.6)), "sum to 1.1")


@row("data.partition_clients")
def _(partition_clients):
    check_refuses(lambda: partition_clients(np.arange(4), 2, "shard"), "`skew`", "Did you mean 'shards'?")
    check_refuses(lambda: partition_clients(np.eye(4), 2), "shape (4, 4)")


@row("data.check_disjoint")
def _(check_disjoint):
    check_refuses(lambda: check_disjoint(np.eye(2), np.eye(2)), "2 of 2 examples")

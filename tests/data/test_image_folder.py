"""`ImageFolder` and `image_files`: what is found, what is refused, and in which words."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tf_transfer.data import BadImage, ImageFolder, decode_image, image_files


def load(folder, **options):
    return ImageFolder(folder, (8, 10), **options)


def test_labels_follow_the_sorted_names(photos):
    images = load(photos)
    assert images.class_names == ["ant", "bee", "cicada"]
    assert images.labels.dtype == np.int64
    assert images.labels.tolist() == [0] * 3 + [1] * 5 + [2] * 4
    assert [file.split("/")[-2] for file in images.files] == ["ant"] * 3 + ["bee"] * 5 + ["cicada"] * 4
    assert len(images) == 12
    assert images.bad == []


def test_dataset_has_each_image_with_its_label_in_order(photos):
    images = load(photos)
    dataset = images.dataset(batch_size=5)
    assert dataset.cardinality() == 3
    batches = list(dataset.as_numpy_iterator())
    pixels, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
    np.testing.assert_array_equal(labels, images.labels)
    expected = [decode_image(Path(file).read_bytes(), (8, 10)) for file in images.files]
    np.testing.assert_array_equal(pixels, expected)
    assert pixels.dtype == np.float32
    assert pixels.shape == (12, 8, 10, 3)


def test_drop_remainder_makes_the_batch_static(photos):
    dataset = load(photos, channels=1).dataset(5, drop_remainder=True)
    assert dataset.cardinality() == 2
    assert dataset.element_spec[0].shape == (5, 8, 10, 1)


def test_shuffle_differs_between_epochs_and_repeats_with_its_seed(photos):
    def orders(seed):
        dataset = load(photos).dataset(12, shuffle=True, seed=seed)
        return [next(iter(dataset))[0].numpy().sum(axis=(1, 2, 3)).tolist() for _ in range(2)]

    first, second = orders(seed=1)
    assert first != second
    assert sorted(first) == sorted(second)
    assert orders(seed=1) == [first, second]
    assert orders(seed=2) != [first, second]


def test_images_deeper_in_a_class_folder_belong_to_it(photos, image_bytes):
    (photos / "ant" / "more" / "still").mkdir(parents=True)
    (photos / "ant" / "more" / "still" / "x.png").write_bytes(image_bytes(file_format="PNG"))
    assert load(photos).labels.tolist().count(0) == 4


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5, 0.95])
def test_split_is_stratified_complete_and_disjoint(photos, fraction):
    images = load(photos)
    train, validation = images.split(fraction, seed=3)
    assert sorted(train.files + validation.files) == sorted(images.files)
    assert not set(train.files) & set(validation.files)
    assert set(train.labels) == set(validation.labels) == {0, 1, 2}
    names = {file: label for file, label in zip(images.files, images.labels, strict=True)}
    for part in (train, validation):
        assert [names[file] for file in part.files] == part.labels.tolist()


def test_split_repeats_with_its_seed_only(photos):
    images = load(photos)
    assert images.split(0.4, seed=1)[1].files == images.split(0.4, seed=1)[1].files
    assert len({tuple(images.split(0.4, seed=seed)[1].files) for seed in range(8)}) > 4


def test_split_takes_the_fraction_of_each_class(photos, image_bytes):
    for index in range(20):
        (photos / "bee" / f"more{index}.jpg").write_bytes(image_bytes(seed=index))
    validation = load(photos).split(0.2)[1]
    assert np.bincount(validation.labels).tolist() == [1, 5, 1]


def test_split_keeps_a_single_image_for_training(photos):
    for index in (1, 2):
        (photos / "ant" / f"{index}.jpg").unlink()
    train, validation = load(photos).split(0.5)
    assert 0 in train.labels
    assert 0 not in validation.labels


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 20, "0.2"])
def test_split_explains_a_wrong_fraction(photos, fraction):
    with pytest.raises(ValueError, match="`validation_split` must be"):
        load(photos).split(fraction)


def test_examples_are_real_images_of_all_classes(photos):
    images = load(photos)
    examples = images.examples(3)
    assert examples.shape == (3, 8, 10, 3)
    np.testing.assert_array_equal(examples[0], decode_image(Path(images.files[0]).read_bytes(), (8, 10)))
    np.testing.assert_array_equal(examples[-1], decode_image(Path(images.files[-1]).read_bytes(), (8, 10)))
    assert images.examples(100).shape[0] == 12


def test_class_weight_is_balanced(photos):
    weight = load(photos).class_weight()
    assert weight == pytest.approx({0: 12 / 9, 1: 12 / 15, 2: 12 / 12})


def test_given_class_names_set_the_order_and_may_leave_out(photos):
    with pytest.warns(UserWarning, match="not in `class_names`: bee"):
        images = load(photos, class_names=["cicada", "ant"])
    assert images.labels.tolist() == [0] * 4 + [1] * 3


def test_unknown_class_name_is_suggested(photos):
    with pytest.raises(ValueError, match=r"has 'bees', but the folders are .* Did you mean 'bee'\?"):
        load(photos, class_names=["ant", "bees"])


def test_given_class_may_have_no_images(photos):
    for file in (photos / "bee").iterdir():
        file.unlink()
    with pytest.warns(UserWarning, match="bee has no images"):
        images = load(photos, class_names=["ant", "bee", "cicada"])
    assert set(images.labels) == {0, 2}


def test_clean_folder_gives_no_warning(photos):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(photos)


# Bad folders -----------------------------------------------------------------------------------


def test_missing_folder(photos):
    with pytest.raises(FileNotFoundError, match=r"There is no folder '.*photo'\. Did you mean 'photos'\?"):
        load(photos.parent / "photo")


def test_file_instead_of_folder(photos):
    with pytest.raises(NotADirectoryError, match="Expected a folder with one subfolder per class"):
        load(photos / "ant" / "0.jpg")


def test_empty_folder(tmp_path):
    with pytest.raises(ValueError, match="must have one folder of images per class"):
        load(tmp_path)


def test_unreadable_folder(photos, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(PermissionError, match=r"The folder cannot be read: .*photos\. Permission denied"):
        load(photos)


def test_unreadable_class_folder(photos, monkeypatch):
    import os

    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("bee"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(PermissionError, match=r"The folder cannot be read: .*bee"):
        load(photos)


def test_one_class_only(tmp_path, image_bytes):
    (tmp_path / "ant").mkdir()
    (tmp_path / "ant" / "0.jpg").write_bytes(image_bytes())
    with pytest.raises(ValueError, match=r"needs at least two classes.*\['ant'\]"):
        load(tmp_path)


def test_class_folder_without_images(photos):
    (photos / "dragonfly").mkdir()
    (photos / "dragonfly" / "notes.txt").write_text("none yet")
    with pytest.raises(ValueError, match=r"dragonfly has no images .*Remove it or fill it"):
        load(photos)


def test_images_without_class_folders(tmp_path, image_bytes):
    (tmp_path / "0.jpg").write_bytes(image_bytes())
    with pytest.raises(ValueError, match=r"one folder of images per class.*Found 1 images directly in it"):
        load(tmp_path)


def test_images_beside_class_folders_are_said_to_be_ignored(photos, image_bytes):
    (photos / "stray.png").write_bytes(image_bytes(file_format="PNG"))
    with pytest.warns(UserWarning, match=r"Ignored 1 images directly in .*stray\.png"):
        assert len(load(photos)) == 12


def test_hidden_files_and_other_files_are_said_to_be_ignored(photos):
    (photos / "ant" / ".hidden.jpg").write_bytes(b"")
    (photos / "ant" / "notes.txt").write_text("x")
    (photos / ".cache").mkdir()
    with pytest.warns(UserWarning, match=r"Ignored 2 files that are no images .*\.hidden\.jpg, notes\.txt"):
        images = load(photos)
    assert len(images) == 12
    assert images.class_names == ["ant", "bee", "cicada"]


@pytest.mark.parametrize("image_size", [224, (0, 8), (8, 8, 3)])
def test_wrong_image_size(photos, image_size):
    with pytest.raises(ValueError, match=r"`image_size` must be \(height, width\)"):
        ImageFolder(photos, image_size)


# Bad images ------------------------------------------------------------------------------------


def cut(contents, fraction):
    return contents[: int(len(contents) * fraction)]


BAD = {
    "empty": (lambda encode: b"", "is empty"),
    "text": (lambda encode: b"this is no image at all", "is corrupt or no image"),
    "header_only": (lambda encode: encode()[:20], "is (corrupt|truncated)"),
    "jpeg_half": (lambda encode: cut(encode(size=(64, 64)), 0.5), "is truncated"),
    "jpeg_tail": (lambda encode: cut(encode(size=(64, 64)), 0.97), "is truncated"),
    "png_half": (lambda encode: cut(encode(file_format="PNG"), 0.5), "is (truncated|corrupt)"),
    "gif_half": (lambda encode: cut(encode(file_format="GIF"), 0.5), "is (truncated|corrupt)"),
    "bmp_half": (lambda encode: cut(encode(file_format="BMP"), 0.5), "is truncated"),
    "webp_half": (lambda encode: cut(encode(file_format="WEBP"), 0.5), "is (truncated|corrupt)"),
    "tiff": (lambda encode: encode(file_format="TIFF"), "cannot be decoded by TensorFlow"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_image_is_named_with_its_reason(photos, image_bytes, kind):
    contents, reason = BAD[kind]
    (photos / "bee" / "bad.jpg").write_bytes(contents(image_bytes))
    with pytest.raises(ValueError, match=rf"1 of 13 images in .* cannot be used: \n  .*bad\.jpg: {reason}") as error:
        load(photos)
    assert "skip_bad=True (--skip-bad)" in str(error.value)


@pytest.mark.parametrize("kind", BAD)
def test_bad_image_is_left_out_on_request(photos, image_bytes, kind):
    (photos / "bee" / "bad.jpg").write_bytes(BAD[kind][0](image_bytes))
    with pytest.warns(UserWarning, match=r"Left out 1 of 13 images"):
        images = load(photos, skip_bad=True)
    assert [type(bad) for bad in images.bad] == [BadImage]
    assert images.bad[0].file == str(photos / "bee" / "bad.jpg")
    assert images.labels.tolist() == [0] * 3 + [1] * 5 + [2] * 4
    assert sum(len(labels) for _, labels in images.dataset()) == 12


def test_truncated_progressive_jpeg_is_caught(photos):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    file = photos / "bee" / "progressive.jpg"
    Image.fromarray(pixels).save(file, "JPEG", progressive=True)
    file.write_bytes(cut(file.read_bytes(), 0.7))
    with pytest.raises(ValueError, match="is truncated"):
        load(photos)


def test_bmp_with_a_palette_is_refused_since_tensorflow_reads_its_indices_as_grey(photos):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).quantize(16).save(photos / "bee" / "palette.bmp")
    with pytest.raises(ValueError, match=r"palette\.bmp: is a BMP with a color palette"):
        load(photos)


def test_image_of_a_format_that_is_not_read_is_no_silent_omission(photos):
    Image.new("RGB", (8, 8)).save(photos / "bee" / "scan.tif")
    with pytest.raises(ValueError, match=r"scan\.tif: cannot be decoded by TensorFlow: save it as JPEG or PNG"):
        load(photos)


def test_only_the_first_ten_bad_images_are_listed_and_all_are_counted(photos):
    for index in range(14):
        (photos / "bee" / f"bad{index:02}.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"14 of 26 images") as error:
        load(photos)
    assert str(error.value).count("is empty") == 10
    assert "... and 4 more" in str(error.value)


def test_class_of_which_no_image_is_left(photos):
    for file in (photos / "ant").iterdir():
        file.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="Left out 3 of 12"),
        pytest.raises(ValueError, match="No usable image is left of class 'ant'"),
    ):
        load(photos, skip_bad=True)


# Lists of files --------------------------------------------------------------------------------


def test_image_files_of_files_and_folders(photos):
    files = image_files([photos / "cicada", str(photos / "ant" / "1.jpg")])
    assert files == [str(photos / "cicada" / f"{index}.jpg") for index in range(4)] + [str(photos / "ant" / "1.jpg")]


def test_image_files_takes_a_named_file_of_any_suffix(photos):
    (photos / "ant" / "0.jpg").rename(photos / "upload")
    assert image_files(photos / "upload") == [str(photos / "upload")]


def test_image_files_that_are_missing_or_bad(photos):
    with pytest.raises(FileNotFoundError, match=r"There is no image file or folder .*Did you mean '0\.jpg'"):
        image_files(photos / "ant" / "0.jpeg")
    (photos / "ant" / "0.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"1 of 3 images in .*\n.*0\.jpg: is empty"):
        image_files(photos / "ant")
    with pytest.warns(UserWarning, match="Left out 1 of 3"):
        assert len(image_files(photos / "ant", skip_bad=True)) == 2
    with pytest.warns(UserWarning, match="Left out"), pytest.raises(ValueError, match="No usable image is left"):
        image_files(photos / "ant" / "0.jpg", skip_bad=True)


def test_image_files_without_any(tmp_path):
    with pytest.raises(ValueError, match="No images found in"):
        image_files(tmp_path)
    with pytest.raises(ValueError, match="No images found in"):
        image_files([])


# Real data -------------------------------------------------------------------------------------


def test_real_photographs(real_data, tmp_path):
    jpegs = dict(np.load(real_data / "hymenoptera" / "hymenoptera_160px.npz"))
    for index, (label, domain) in enumerate(zip(jpegs["label"], jpegs["domain"], strict=True)):
        folder = tmp_path / f"domain{domain}" / f"class{label}"
        folder.mkdir(parents=True, exist_ok=True)
        start, stop = jpegs["offsets"][index : index + 2]
        (folder / f"{index:04}.jpg").write_bytes(jpegs["jpeg"][start:stop].tobytes())
    train, test = (ImageFolder(tmp_path / f"domain{domain}", (64, 64)) for domain in (0, 1))
    assert np.bincount(train.labels).tolist() == [122, 121]
    assert np.bincount(test.labels).tolist() == [70, 83]
    images, labels = next(iter(test.dataset(batch_size=200)))
    assert images.shape == (153, 64, 64, 3)
    np.testing.assert_array_equal(labels, test.labels)
    assert 80 < float(images.numpy().mean()) < 150
    victim = tmp_path / "domain1" / "class0"
    victim = sorted(victim.iterdir())[7]
    victim.write_bytes(cut(victim.read_bytes(), 0.5))
    with pytest.raises(ValueError, match=rf"1 of 153 images .*\n.*{victim.name}: is truncated"):
        ImageFolder(tmp_path / "domain1", (64, 64))

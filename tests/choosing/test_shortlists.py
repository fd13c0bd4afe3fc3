"""What is tried of texts, tables and recordings where nobody names builders, and that a file says what was chosen."""

import numpy as np
import pytest

import tf_transfer as tft
from tf_transfer.choosing.builders import starts_at_random, training_data
from tf_transfer.choosing.configs import completed, train_config
from tf_transfer.choosing.examples import Examples, read_examples
from tf_transfer.choosing.methods import make_candidate
from tf_transfer.choosing.shortlists import RECORDINGS, TABLES, TEXTS, shortlist

TEXTS_GIVEN = np.array(["a good film", "a bad film", "good", "bad bad"], object), np.array([1, 0, 1, 0])
ROWS = {"age": np.arange(8.0), "ward": np.array(list("abababab"), object)}, np.arange(8) % 2


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    from scipy.io import wavfile

    folder = tmp_path_factory.mktemp("tones")
    for name in ("high", "low"):
        (folder / name).mkdir()
        for i in range(2):
            wavfile.write(folder / name / f"{i}.wav", 4000, np.full(1000, i, np.int16))
    return read_examples(tft.data.AudioFolder(folder, 4000, 0.25))


def test_texts():
    found, said = shortlist(read_examples(TEXTS_GIVEN))
    assert tuple(found) == TEXTS == tuple(each.backbone for each in found.values())
    assert all(starts_at_random(each) and each.backbone_options["vocabulary"] for each in found.values())
    assert "mean, cnn, transformer" in said and "hub:" in said
    encoder = tft.TextEncoder(dim=8, num_heads=2, architecture="mean").adapt(TEXTS_GIVEN[0], verbose=0).build()
    small = {"name": "cnn", "dim": 8}
    found, said = shortlist(read_examples(TEXTS_GIVEN), {"own": encoder, "small": small, "hub": "hub:no/such"})
    assert [starts_at_random(each) for each in found.values()] == [False, True, False] and "named" in said
    assert found["small"].backbone_options["dim"] == 8 and found["own"].backbone is encoder
    one, said = shortlist(read_examples(TEXTS_GIVEN), fields={"backbone": "cnn", "dropout": 0.5})
    assert list(one) == ["cnn"] and one["cnn"].dropout == 0.5 and "`backbone` says" in said


def test_rows_and_recordings(tones):
    found, _ = shortlist(read_examples(ROWS), fields={"missing_indicators": False})
    assert [each.hidden_units for each in found.values()] == list(TABLES.values())
    assert not any(each.missing_indicators for each in found.values())
    assert list(shortlist(read_examples(ROWS), fields={"hidden_units": (9,)})[0]) == ["(9,)"]
    found, _ = shortlist(tones, fields={"num_mel_bins": 40})
    assert list(found) == list(RECORDINGS) and found["small_conv"].seconds == 0.25
    sizes = [each.build().count_params() for each in found.values()]
    assert sizes == sorted(sizes) and sizes[-1] > 3 * sizes[1] > 9 * sizes[0] / 2
    plain = tft.AudioClassifier(num_classes=2, sample_rate=4000, seconds=0.25, num_mel_bins=40).build()
    assert sizes[1] == plain.count_params()
    named, _ = shortlist(tones, ["mobilenet_v2", "small_conv"], weights="imagenet")
    assert [each.weights for each in named.values()] == ["imagenet", None]


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        (ROWS, {"backbones": ["mean"]}, "a table has none to name"),
        (TEXTS_GIVEN, {"backbones": ["meen"]}, "Did you mean 'mean'"),
        (TEXTS_GIVEN, {"backbones": ["cnn"], "backbone": "mean"}, "leave out one of them"),
        (TEXTS_GIVEN, {"backbones": [{"dim": 8}]}, 'with a "name"'),
        (TEXTS_GIVEN, {"image_size": 96}, "`image_size` is of images"),
        (ROWS, {"budget": {"max_parameters": 10}}, "bound backbones of images"),
        ((ROWS[0], ROWS[1] + 0.5), {}, "TabularRegressor"),
        ((TEXTS_GIVEN[0], TEXTS_GIVEN[1] + 0.5), {}, "TextRegressor"),
    ],
)
def test_what_cannot_be_is_said_before_any_training(data, options, said):
    with pytest.raises(ValueError, match=said):
        tft.auto(data, verbose=0, **options)


def test_recommend_ranks_images_alone():
    with pytest.raises(ValueError, match="say `backbone=` instead"):
        tft.recommend(TEXTS_GIVEN, backbones=["cnn"], verbose=0)
    with pytest.raises(ValueError, match="bound backbones of images"):
        tft.recommend(ROWS, budget={"max_milliseconds": 1}, verbose=0)


def made_again(examples, builder, method, config=None):
    """Returns a builder, and what the configuration of training it by a method makes on the same examples."""
    candidate = make_candidate(method, builder, "net", len(examples.labels))
    found = train_config(examples, candidate.builder, candidate.phases, restore_best_weights=False)
    found = found if config is None else completed(config, found)
    return candidate.builder, found


def test_a_file_says_what_was_chosen_of_texts(tmp_path):
    (tmp_path / "films.csv").write_text("review,mood\n" + "a good film,1\na bad film,0\n" * 12)
    options = {"text": str(tmp_path / "films.csv"), "text_column": "review", "target": "mood", "seed": 3}
    config = tft.workflow.TextTrainConfig.from_dict({**options, "validation_split": 0.25, "output": "run"})
    training, _ = config.labelled()
    examples = read_examples(training)
    builder, found = made_again(examples, shortlist(examples)[0]["cnn"], "from_scratch", config)
    assert (found.seed, found.target, found.output, found.restore_best_weights) == (3, "mood", "run", False)
    again, seen, held_out = found.open()
    assert again.backbone_options == builder.backbone_options and again.trainable is True
    assert seen.x.tolist() == training.texts.tolist() and len(held_out) == 6
    assert "vocabulary" not in found.to_dict()["backbone_options"]


def test_a_file_says_what_was_chosen_of_rows(tmp_path):
    lines = [f"{i},{'ab'[i % 2]},{i % 3},{i % 2}" for i in range(24)]
    (tmp_path / "rows.csv").write_text("\n".join(["age,ward,code,sick", *lines]))
    fields = {"table": tmp_path / "rows.csv", "target": "sick", "kinds": {"code": "category"}}
    config = tft.workflow.TableTrainConfig.from_dict(fields)
    examples = read_examples(config.labelled()[0])
    builder, found = made_again(examples, shortlist(examples)[0]["32 units"], "from_scratch", config)
    again, seen, _ = found.open()
    assert again.hidden_units == builder.hidden_units == (32,) and again.columns == builder.columns
    given = training_data(examples, builder)[0]
    assert all(np.array_equal(np.asarray(given[name]), np.asarray(seen.x[name])) for name in given)
    # Arrays have no file that says of which kind they are.
    own = tft.TabularClassifier(columns={"age": "number"}, num_classes=2).adapt(ROWS[0])
    _, found = made_again(Examples("rows", ROWS, ROWS[1]), own, "from_scratch")
    assert (found.table, found.target, found.columns) == ("PATH", "TARGET", None)


def test_a_held_pretrained_encoder_of_texts_has_a_configuration():
    builder = tft.TextClassifier(num_classes=2, backbone="hub:some/encoder")
    _, found = made_again(read_examples(TEXTS_GIVEN), builder, "l2_sp")
    assert found.builder["backbone"] == "hub:some/encoder" and "trainable" not in found.builder and found.epochs == 12

"""Training runs on texts, tables and recordings: from files to an export that answers, and what can't be."""

import csv
import json

import numpy as np
import pytest
from scipy.io import wavfile

import tf_transfer as tft
from tf_transfer.cli import main


def _write(path, header, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    words = {"good": ["fine", "great"], "bad": ["dull", "poor"]}
    rows = [(f"a {words[label][i % 2]} film {i % 3}", label) for i in range(20) for label in words]
    return _write(tmp_path_factory.mktemp("reviews") / "reviews.csv", ["review", "sentiment"], rows)


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    rng = np.random.default_rng(0)
    ages, wards = rng.normal(50, 10, 60), rng.choice(["a", "b"], 60)
    rows = [
        ("?" if i % 10 == 0 else f"{age:.1f}", ward, "yes" if ward == "b" else "no", f"{age + 30 * (ward == 'b'):.1f}")
        for i, (age, ward) in enumerate(zip(ages, wards, strict=True))
    ]
    return _write(tmp_path_factory.mktemp("patients") / "patients.csv", ["age", "ward", "sick", "cost"], rows)


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("tones"), np.random.default_rng(0)
    for name, hertz in (("high", 1500), ("low", 300)):
        (folder / name).mkdir()
        for i in range(8):
            wave = 9000 * np.sin(2 * np.pi * hertz * np.arange(1000) / 4000) + rng.normal(0, 300, 1000)
            wavfile.write(folder / name / f"{i}.wav", 4000, wave.astype(np.int16))
    return folder


def _answers(capsys, model, *inputs):
    capsys.readouterr()
    assert main(["predict", str(model), *map(str, inputs), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["predictions"]


def test_a_file_of_texts_becomes_a_model_that_reads_texts(reviews, tmp_path, capsys):
    argv = ["train", "--text", reviews, "--target", "sentiment", "--epochs", "8", "--learning-rate", "0.05"]
    assert main([str(word) for word in [*argv, "--export", tmp_path / "served", "--min-accuracy", "0.9"]]) == 0
    assert f"tf-transfer predict {tmp_path / 'served'} FILE.csv" in capsys.readouterr().out
    rows = _answers(capsys, tmp_path / "served", reviews)
    with open(reviews, newline="") as file:
        assert [row["label"] for row in rows] == [row["sentiment"] for row in csv.DictReader(file)]
    assert rows[0]["file"] == f"{reviews}:1"
    (tmp_path / "new.txt").write_text("a great film\na poor film\n")
    assert [row["label"] for row in _answers(capsys, tmp_path / "served", tmp_path / "new.txt")] == ["good", "bad"]


def test_a_table_becomes_a_model_that_reads_rows_with_gaps(patients, tmp_path, capsys):
    argv = ["train", "--table", patients, "--target", "sick", "--columns", "age,ward", "--hidden-units", "8"]
    argv += ["--epochs", "30", "--learning-rate", "0.05", "--export", tmp_path / "served"]
    assert main([str(word) for word in argv]) == 0
    out = capsys.readouterr().err
    assert "number: age (6 missing)" in out and "category: ward" in out
    served = tft.serving.load(tmp_path / "served")
    assert served.metadata["builder"]["builder"] == "TabularClassifier"
    assert served.metadata["metrics"]["accuracy"] == 1.0
    new = _write(tmp_path / "new.csv", ["ward", "age"], [("b", ""), ("a", "61"), ("c", "40")])
    assert [row["label"] for row in _answers(capsys, tmp_path / "served", new)][:2] == ["yes", "no"]


def test_a_number_is_predicted_in_its_unit(patients, tmp_path, capsys):
    config = tft.workflow.TableTrainConfig(
        table=patients, target="cost", columns=["age", "ward"], epochs=60, learning_rate=0.05, builder={"dropout": 0.0},
        export=tmp_path / "cost",
    )  # fmt: skip
    result = tft.workflow.train(config, verbose=0)
    assert isinstance(result.builder, tft.TabularRegressor) and result.class_names is None
    assert result.evaluation.r2 > 0.8
    answers = [row["values"][0] for row in _answers(capsys, tmp_path / "cost", patients)]
    with open(patients, newline="") as file:
        costs = [float(row["cost"]) for row in csv.DictReader(file)]
    # One row in ten lacks the age.
    assert np.median(np.abs(np.subtract(answers, costs))) < 5.0
    assert main(["predict", str(tmp_path / "cost"), str(patients), "--output", str(tmp_path / "costs.csv")]) == 0
    written = (tmp_path / "costs.csv").read_text().splitlines()
    assert written[0] == "file,prediction" and written[1] == f"{patients}:1,{answers[0]:.6g}"
    assert main(["predict", str(tmp_path / "cost"), str(patients)]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == f"{answers[0]:.6g}"
    with pytest.raises(ValueError, match="`min_accuracy` is for classes"):
        tft.workflow.train(tft.workflow.TableTrainConfig(table=patients, target="cost", min_accuracy=0.5), verbose=0)


def test_a_folder_of_recordings_becomes_a_model_that_hears(tones, tmp_path, capsys):
    argv = ["train", "--audio", tones, "--sample-rate", "4000", "--seconds", "0.25", "--num-mel-bins", "16"]
    argv += ["--epochs", "6", "--learning-rate", "0.01", "--batch-size", "4", "--augmentation", "none"]
    assert main([str(word) for word in [*argv, "--export", tmp_path / "served"]]) == 0
    rows = _answers(capsys, tmp_path / "served", tones / "high")
    assert len(rows) == 8 and {row["label"] for row in rows} == {"high"}


def test_validation_from_a_file_of_its_own_has_the_classes_of_the_first(reviews, tmp_path):
    other = _write(tmp_path / "test.csv", ["review", "sentiment"], [("a fine film", "good"), ("a fine one", "good")])
    config = tft.workflow.TextTrainConfig(text=reviews, validation=other, target="sentiment", epochs=1)
    builder, training, validation = config.open()
    assert (len(training), len(validation)) == (40, 2)
    assert builder.class_names == ("bad", "good") and validation.y.tolist() == [1, 1]


def test_a_network_that_starts_at_random_trains_whole_from_the_first_epoch(reviews, tmp_path):
    config = tft.workflow.TextTrainConfig(text=reviews, target="sentiment")
    builder, *_ = config.open()
    assert config.phases(builder) == {
        "freeze_epochs": 0, "epochs": 30, "learning_rate": 3e-3, "fine_tuning_rate": 3e-3, "layer_decay": None
    }  # fmt: skip
    builder.build().layers[1].save(tmp_path / "encoder.keras")
    known = tft.workflow.TextTrainConfig(
        text=reviews, target="sentiment", builder={"backbone": f"file:{tmp_path / 'encoder.keras'}"}
    )
    phases = known.phases(known.open()[0])
    assert (phases["freeze_epochs"], phases["epochs"], phases["fine_tuning_rate"]) == (20, 10, None)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (["table", "target", "sik"], "has no column 'sik'"),
        (["table", "target", "sick", "columns", "age,wad"], "has no column 'wad'"),
        (["table", "target", "sick", "kinds", "ward=number"], "column 'ward' must be a number"),
        (["table", "target", "sick", "task", "regression"], "sick"),
    ],
)
def test_errors_speak_of_files_and_columns(patients, line, sentence, capsys):
    argv = ["train", f"--{line[0]}", str(patients)]
    for name, value in zip(line[1::2], line[2::2], strict=True):
        argv += [f"--{name}", value]
    assert main(argv) == 1
    error = capsys.readouterr().err
    assert sentence in error and "patients.csv" in error


def test_the_fingerprint_of_rows_tells_data_and_labels_apart(reviews):
    from tf_transfer.workflow.labelled_rows import LabelledRows, examples_fingerprint

    x, y = np.array(["a", "b"], object), np.array([0, 1])
    same = [
        LabelledRows(x[order], y[order], (file,), ("no", "yes"), "texts")
        for order, file in (([0, 1], "a"), ([1, 0], "b"))
    ]
    assert examples_fingerprint(same[0]) == examples_fingerprint(same[1])
    renamed = LabelledRows(x, y, ("a",), ("no", "perhaps"), "texts")
    assert examples_fingerprint(renamed) != examples_fingerprint(same[0])

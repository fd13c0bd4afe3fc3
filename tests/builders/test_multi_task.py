"""Models of several tasks: what they are asked, what they are told, and what is left of a missing label."""

import dataclasses
import json
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_transfer as tft

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 16, 16, 3)).astype("float32")
LABELS = {
    "digit": np.where(np.arange(12) % 3 == 0, -1, np.arange(12) % 4),
    "age": np.where(np.arange(12)[:, None] < 6, np.nan, 30.0 + np.arange(12)[:, None]).astype("float32"),
    "tags": np.stack([np.arange(12) % 2, np.full(12, -1)], axis=-1),
}


@pytest.fixture(scope="module")
def builder(tiny_backbone):
    trunk = tft.builders.ImageBuilder(
        backbone=tiny_backbone, weights=None, hidden_units=(6,), dropout=0.0, l2=0.01, augmentation=None, seed=3
    )
    tasks = {
        "digit": tft.ClassificationTask(num_classes=4, class_weight={2: 3.0}, class_names=["a", "b", "c", "d"]),
        "age": tft.RegressionTask(target_mean=35.0, target_std=5.0, weight=0.5),
        "tags": tft.ClassificationTask(num_classes=2, multi_label=True, class_names=["old", "new"]),
    }
    return tft.MultiTask(trunk=trunk, tasks=tasks)


@pytest.fixture(scope="module")
def model(builder):
    made = builder.build()
    rng = np.random.default_rng(1)
    # The last kernels start at zero, where every prediction is even.
    for name in ("digit_logits", "age_standardized", "tags_logits"):
        kernel = made.get_layer(name).kernel
        kernel.assign(rng.normal(size=kernel.shape))
    return made


def test_outputs_are_named_as_the_tasks(model):
    scores = model.predict(IMAGES, verbose=0)
    assert {name: values.shape for name, values in scores.items()} == {
        "digit": (12, 4),
        "age": (12, 1),
        "tags": (12, 2),
    }
    np.testing.assert_allclose(scores["digit"].sum(-1), 1.0, rtol=1e-5)
    assert model.get_layer("digit_hidden_1") is not model.get_layer("age_hidden_1")
    kernels = [model.get_layer(f"{name}_hidden_1").kernel.numpy() for name in LABELS]
    assert not np.array_equal(kernels[0], kernels[1]), "heads start as copies of each other"


def test_the_objective_is_the_weighted_sum_over_what_has_labels(model):
    scores = model.predict(IMAGES, verbose=0)
    known = LABELS["digit"] >= 0
    weights = np.where(LABELS["digit"][known] == 2, 3.0, 1.0)
    digit = np.mean(-np.log(scores["digit"][known, LABELS["digit"][known]]) * weights)
    age = np.mean((scores["age"][6:] - LABELS["age"][6:]) ** 2) / 25
    first = np.where(LABELS["tags"][:, 0] == 1, scores["tags"][:, 0], 1 - scores["tags"][:, 0])
    tags = -np.log(first).mean()
    found = model.evaluate(IMAGES, LABELS, batch_size=12, verbose=0, return_dict=True)
    assert found["digit_loss"] == pytest.approx(digit, rel=1e-4)
    assert found["age_loss"] == pytest.approx(age, rel=1e-4)
    assert found["tags_loss"] == pytest.approx(tags, rel=1e-4)
    penalty = float(sum(model.losses))
    assert penalty > 0
    assert found["loss"] == pytest.approx(digit + 0.5 * age + tags + penalty, rel=1e-4)
    assert found["digit_accuracy"] == pytest.approx(
        np.mean(scores["digit"][known].argmax(-1) == LABELS["digit"][known])
    )
    assert found["age_mae"] == pytest.approx(np.abs(scores["age"][6:] - LABELS["age"][6:]).mean(), rel=1e-4)
    assert found["tags_accuracy"] == pytest.approx(np.mean(first > 0.5))


def test_examples_without_a_label_teach_nothing(builder):
    models = [builder.build() for _ in range(2)]
    none = {"digit": np.full(4, -1), "age": np.full((4, 1), np.nan, "float32"), "tags": np.full((4, 2), -1)}
    some = {name: values[4:8] for name, values in LABELS.items()}
    both = {name: np.concatenate([some[name], none[name]]) for name in LABELS}
    for made in models:
        made.compile(keras.optimizers.SGD(0.1), made.loss, loss_weights={"digit": 1.0, "age": 1.0, "tags": 1.0})
    models[0].fit(IMAGES[4:8], some, batch_size=8, verbose=0)
    models[1].fit(IMAGES[4:12], both, batch_size=8, verbose=0, shuffle=False)
    for one, other in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_the_file_opens_elsewhere_and_without_the_package(model, tmp_path):
    path = tmp_path / "tasks.keras"
    model.save(path)
    np.save(tmp_path / "images.npy", IMAGES)
    code = f"""
        import json, keras, numpy as np, sys
        images = np.load({str(tmp_path / "images.npy")!r})
        plain = keras.models.load_model({str(path)!r}, compile=False)
        assert "tf_transfer" not in sys.modules
        first = plain.predict(images, verbose=0)
        import tf_transfer
        whole = keras.models.load_model({str(path)!r})
        second = whole.predict(images, verbose=0)
        labels = {{"digit": np.zeros(12), "age": np.full((12, 1), np.nan), "tags": np.zeros((12, 2))}}
        loss = whole.fit(images, labels, verbose=0).history["age_loss"][0]
        print(json.dumps([loss, *({{name: each[name].tolist() for name in each}} for each in (first, second))]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    loss, *found = json.loads(done.stdout.strip().splitlines()[-1])
    assert loss == 0.0
    for scores in found:
        for name, values in model.predict(IMAGES, verbose=0).items():
            np.testing.assert_allclose(scores[name], values, rtol=1e-5, atol=1e-6)


def test_outputs_are_float32_under_mixed_precision(builder):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        made = builder.build()
    finally:
        keras.config.set_dtype_policy("float32")
    assert {output.dtype for output in made.outputs} == {"float32"}


def test_a_builder_of_tasks_is_data(builder, tmp_path):
    builder.to_yaml(tmp_path / "tasks.yaml")
    again = tft.MultiTask.from_yaml(tmp_path / "tasks.yaml")
    assert again == builder and again.tasks["digit"].class_weight == {2: 3.0}
    fields = builder.to_dict()
    assert fields["trunk"]["builder"] == "ImageBuilder" and fields["tasks"]["age"]["target_std"] == 5.0
    varied = dataclasses.replace(builder, tasks={"digit": {"builder": "ClassificationTask", "num_classes": 7}})
    assert varied.tasks["digit"].num_classes == 7


def test_what_can_not_be_is_said(builder, tiny_backbone):
    with pytest.raises(ValueError, match="without a head of its own, such as ImageBuilder"):
        tft.MultiTask(trunk=tft.ImageRegressor(), tasks=builder.tasks)
    with pytest.raises(ValueError, match="mixes labels of classes"):
        tft.MultiTask(trunk=dataclasses.replace(builder.trunk, augmentation="mixup"), tasks=builder.tasks)
    with pytest.raises(ValueError, match="can't be named as an input"):
        tft.MultiTask(trunk=builder.trunk, tasks={"image": tft.RegressionTask()}).build()
    with pytest.raises(ValueError, match=r"`tasks\['digit'\]` must be a Task"):
        tft.MultiTask(trunk=builder.trunk, tasks={"digit": 10})
    with pytest.raises(ValueError, match=r"`tasks\['digit'\]` must say under 'builder' which of"):
        tft.MultiTask(trunk=builder.trunk, tasks={"digit": {"num_classes": 3}})


def test_one_task_trains_the_model_it_is_of(builder):
    made = builder.build()
    digits = tft.builders.one_task(made, "digit")
    before = made.get_layer("digit_logits").kernel.numpy()
    history = digits.fit(IMAGES, LABELS["digit"], verbose=0).history
    assert sorted(history) == ["accuracy", "loss"]
    assert not np.array_equal(made.get_layer("digit_logits").kernel.numpy(), before)
    np.testing.assert_allclose(digits.predict(IMAGES, verbose=0), made.predict(IMAGES, verbose=0)["digit"], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("cls", [tft.UncertaintyWeighting, tft.PCGrad], ids=["uncertainty", "pcgrad"])
def test_balancing_takes_what_the_builder_makes(builder, cls):
    trunk = dataclasses.replace(builder.trunk, trainable=True)
    tasks = {name: dataclasses.replace(task, weight=1.0) for name, task in builder.tasks.items()}
    made = tft.MultiTask(trunk=trunk, tasks=tasks).build()
    method = cls(made)
    method.compile("adam")
    history = method.fit(IMAGES, LABELS, validation_data=(IMAGES, LABELS), verbose=0).history
    assert {"digit_loss", "val_digit_accuracy", "age_mae", "val_tags_auc"} <= set(history)
    assert method.deployable() is made and made.builder.tasks == tasks


@pytest.mark.slow
def test_fine_tune_trains_all_tasks_where_labels_are_missing(builder):
    made = builder.build()
    history = tft.fine_tune(
        made,
        (IMAGES, LABELS),
        freeze_epochs=1,
        epochs=1,
        unfreeze=True,
        validation_data=(IMAGES, LABELS),
        features_cache=False,
        verbose=0,
    ).history
    assert {"digit_loss", "age_mae", "val_tags_accuracy"} <= set(history)
    assert np.all(np.isfinite(history["loss"]))


def test_texts_tables_and_recordings_can_be_the_trunk():
    texts = np.array(["a good film", "a bad film", "a dull one", "good fun"], dtype=object)
    text = tft.builders.TextBuilder(backbone_options={"dim": 4}, seed=0).adapt(texts, verbose=0)
    table = {"age": np.array([1.0, 2.0, np.nan, 4.0]), "pain": np.array(["none", "some", "none", ""], dtype=object)}
    rows = tft.builders.TabularBuilder(columns=["age", "pain"], hidden_units=(4,), seed=0).adapt(table)
    tasks = {"liked": tft.ClassificationTask(num_classes=2), "stars": tft.RegressionTask()}
    labels = {"liked": np.array([1, 0, -1, 1]), "stars": np.array([[4.0], [np.nan], [2.0], [5.0]], "float32")}
    sound = tft.builders.AudioBuilder(
        sample_rate=1000, seconds=0.5, num_mel_bins=16, backbone_options={"filters": [8]}, seed=0
    )
    waves = RNG.uniform(-1, 1, (4, 500)).astype("float32")
    for trunk, x in ((text, texts), (rows, rows.inputs(table)), (sound, waves)):
        model = tft.MultiTask(trunk=trunk, tasks=tasks).build()
        assert np.isfinite(model.fit(x, labels, verbose=0).history["loss"][0])
        encoder, head = tft.backbones.split_at_backbone(model)
        assert sorted(head.output_names) == ["liked", "stars"] and len(encoder.outputs) == 1


def test_methods_for_one_output_say_so(model):
    encoder, head = tft.backbones.split_at_backbone(model)
    with pytest.raises(ValueError, match="one output"):
        tft.DANN(encoder, head)
    with pytest.raises(ValueError, match="one output"):
        tft.Distiller(model, model, verbose=False)


def test_what_is_exported_has_an_output_a_task(builder, model, tmp_path):
    path = tft.export(model, tmp_path / "tasks", examples=IMAGES, verify="saved_model")
    served = tf.saved_model.load(path).signatures["serving_default"](image=tf.constant(IMAGES))
    assert set(served) == {"digit", "digit_labels", "age", "tags"}
    scores = model.predict(IMAGES, verbose=0)
    for name, values in scores.items():
        np.testing.assert_allclose(served[name], values, atol=1e-5)
    labels = [label.decode() for label in served["digit_labels"].numpy().ravel()]
    assert labels == [builder.tasks["digit"].class_names[each] for each in scores["digit"].argmax(-1)]

"""What is recommended for which data, that its reasons say why, and that its code and configuration work."""

import numpy as np
import pytest
import tensorflow as tf
from small_models import colour_images, small_backbone

import tf_transfer as tft
from tf_transfer.analysis.backbone_ranking import RankedBackbone
from tf_transfer.choosing import rules
from tf_transfer.choosing.costs import predicted_seconds, within_minutes
from tf_transfer.choosing.examples import Examples, read_examples
from tf_transfer.choosing.methods import METHODS, phases_for


def of(per_class, num_classes=4, kind="images"):
    return Examples(kind, None, np.repeat(np.arange(num_classes), per_class))


@pytest.mark.parametrize(
    ("per_class", "method", "said"),
    [(2, "prototypes", "mean feature"), (6, "feature_extraction", "46.0 %"), (50, "l2_sp", "68.4 %"),
     (400, "fine_tuning", "76.4 %")],
)  # fmt: skip
def test_labels_a_class_decide(per_class, method, said):
    found, reasons = rules.method_for(of(per_class), at_random=False)
    assert found == method and said in " ".join(reasons) and f"With {per_class} a class" in reasons[0]
    assert found in rules.likely_methods(of(per_class), at_random=False)


def test_a_random_network_trains_whole_and_rows_have_no_prototypes():
    assert rules.method_for(of(2), at_random=True)[0] == "from_scratch"
    assert rules.likely_methods(of(50), at_random=True) == ("from_scratch",)
    assert rules.method_for(of(2, kind="rows"), at_random=False)[0] == "feature_extraction"


def gap(a_distance):
    scores = np.zeros(2), np.zeros(2)
    return tft.analysis.DomainGap(a_distance, 0.0, 0.5, 0.0, 0.0, 0.0, np.nan, (), scores, (20, 20))


def test_gap_and_proportions_decide():
    assert rules.adaptation_for(gap(0.1), 0.5, known=False)[0] == "source_only"
    alike, reasons = rules.adaptation_for(gap(1.0), 0.1, known=True)
    assert alike == "mcc" and "You say" in reasons[1] and "98.8 %" in reasons[1]
    unlike, reasons = rules.adaptation_for(gap(1.0), 0.3, known=False)
    assert unlike == "afn" and "a guess, shift 0.30" in reasons[1] and "85.9 %" in reasons[1]


def test_the_head_has_steps_enough():
    # 8, 4 and 1 steps an epoch.
    found = [phases_for("l2_sp", num, 32)["freeze_epochs"] for num in (243, 100, 20)]
    assert found == [38, 75, 100] and phases_for("from_scratch", 20)["freeze_epochs"] == 0


def test_time_by_hand():
    # 100 images at 50 a second are 2 s a pass: one for the features, 12 epochs of 2 passes, 10 s to start.
    phases = METHODS["l2_sp"].phases
    assert predicted_seconds("l2_sp", phases, 100, 50.0) == pytest.approx(10 + 2 + 12 * 2 * 2)
    method, shorter, seconds, said = within_minutes("l2_sp", phases, 100, 50.0, minutes=0.75)
    assert (method, shorter["epochs"], seconds) == ("l2_sp", 8, 44.0) and "8 fit" in said[0]
    method, _, seconds, said = within_minutes("l2_sp", phases, 100, 50.0, minutes=0.2)
    assert (method, seconds) == ("feature_extraction", 7.0) and "stays frozen" in said[0]
    assert "Even this" in within_minutes("l2_sp", phases, 100, 50.0, minutes=0.1)[3][1]


def test_budget_of_size_and_speed():
    row = RankedBackbone("big", 1.0, {}, 8, 1000, None, 50.0)
    assert tft.choosing.Budget(max_parameters=1000, max_milliseconds=20).refusal(row) == ""
    assert "more than 999" in tft.choosing.Budget(max_parameters=999).refusal(row)
    with pytest.raises(ValueError, match="takes 20 ms an image here, more than 19"):
        tft.choosing.Budget(max_milliseconds=19).affordable([row])


def test_a_folder(photos, tiny_backbone, tmp_path, capsys):
    found = tft.recommend(photos, backbones=tiny_backbone, budget={"minutes": 10}, cache=tmp_path / "cache", seed=3)
    assert found.method == "l2_sp" and isinstance(found.builder, tft.ImageClassifier)
    assert found.config.images == str(photos) and found.config.epochs == 12
    found.config.to_yaml(tmp_path / "run.yaml")
    assert tft.workflow.TrainConfig.from_yaml(tmp_path / "run.yaml") == found.config
    again = found.config.make_builder(found.builder.class_names, (16, 16, 3))
    assert again.regularizer == found.builder.regularizer and again.backbone == found.builder.backbone
    printed = capsys.readouterr().out
    assert (
        printed.startswith("Fine-tuning held by L2-SP, from file:") and "tf-transfer train --config run.yaml" in printed
    )
    assert "10 each" in printed and found.to_dict()["config"]["regularizer"] == {"regularizer": "L2SP"} | {
        name: value for name, value in found.builder.regularizer.to_dict().items() if name != "regularizer"
    }


def test_code_of_few_images_runs():
    x, y = colour_images(6)
    found = tft.recommend((x, y), backbones={"small": small_backbone()}, cache=False, verbose=0)
    assert found.method == "prototypes" and found.config is None
    scope = {"tft": tft, "builder": found.builder, "x": x, "y": y}
    exec(found.code, scope)
    assert (scope["model"].predict(x, verbose=0).argmax(-1) == y).mean() == 1.0


def test_a_target_without_labels(tiny_backbone):
    x, y = colour_images(60)
    options = {"backbones": tiny_backbone, "cache": False, "verbose": 0}
    same = tft.recommend(x[::-1], source=(x, y), **options)
    assert same.method == "source_only" and "(model, source, " in same.code and same.gap.a_distance < 0.5
    dark = tft.recommend(0.3 * x, source=(x, y), proportions="alike", **options)
    assert dark.method == "mcc" and dark.builder.method == "mcc" and dark.config.builder["method"] == "mcc"
    assert tft.recommend(0.3 * x, source=(x, y), proportions="different", **options).method == "afn"


def test_few_labels_of_a_target_go_in_two_stages(tiny_backbone):
    x, y = colour_images(30)
    found = tft.recommend((x, y), source=(x, y % 2), backbones=tiny_backbone, cache=False, verbose=0)
    assert found.method == "two_stage" and found.builder.trainable is True and found.config is None
    assert "source_builder=related" in found.code and "num_classes=2" in found.code


def test_other_kinds(tmp_path):
    y = np.arange(24) % 2
    table = {"a": np.arange(24.0), "b": np.arange(24) % 5}
    found = tft.recommend((table, y), verbose=0)
    assert found.method == "from_scratch" and isinstance(found.builder, tft.TabularClassifier)
    assert found.builder.build().output_shape == (None, 2)
    (tmp_path / "films.csv").write_text("text,label\n" + "good film,1\nbad film,0\n" * 12)
    found = tft.recommend(tft.data.read_text(tmp_path / "films.csv"), backbone="cnn", verbose=0)
    assert found.config.text.endswith("films.csv") and found.config.builder["backbone"] == "cnn"


def test_what_it_reads():
    x, y = colour_images(12)
    stream = tf.data.Dataset.from_tensor_slices((x, np.eye(3)[y])).batch(5)
    found = read_examples(stream)
    assert found.labels.tolist() == y.tolist() and found.shape == (16, 16, 3) and found.per_class == 4
    assert read_examples((x, y)).sized((8, 8, 3))[0].shape == (12, 8, 8, 3)
    with pytest.raises(ValueError, match="3 channels, and the backbone takes 1"):
        read_examples((x, y)).sized((8, 8, 1))
    with pytest.raises(ValueError, match="endless"):
        read_examples(stream.repeat())
    with pytest.raises(ValueError, match=r"none of \[1\]"):
        read_examples((x[:2], np.array([0, 2])))
    with pytest.raises(ValueError, match="dict of names"):
        read_examples((x[:, 0, 0, :], y))
    with pytest.raises(TypeError, match="Received: list"):
        read_examples([x, y])

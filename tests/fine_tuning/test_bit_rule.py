"""BiT-HyperRule: its settings by size, its schedule in `fine_tune`, and the recipe of the command line's runs."""

import keras
import numpy as np
import pytest
from small_models import colour_images, small_backbone

import tf_transfer as tft
from tf_transfer.fine_tuning import BiTHyperRule, step_decay
from tf_transfer.workflow import TrainConfig


@pytest.mark.parametrize(
    ("num_examples", "size", "steps", "pixels", "mixup"),
    [(100, (95, 96), 500, 128, False), (19_999, (96, 96), 500, 384, False), (20_000, (32, 32), 10_000, 128, True),
     (499_999, (500, 375), 10_000, 384, True), (500_000, (500, 375), 20_000, 384, True)],
)  # fmt: skip
def test_the_rule_of_the_paper(num_examples, size, steps, pixels, mixup):
    rule = BiTHyperRule.of(num_examples, size)
    assert (rule.num_steps, rule.image_size, rule.mixup) == (steps, pixels, mixup)
    assert rule.augmentation == ("mixup" if mixup else "flip")
    optimizer = rule.optimizer()
    assert (optimizer.momentum, float(optimizer.learning_rate)) == (0.9, pytest.approx(0.003))


def test_epochs_have_at_least_the_steps():
    rule = BiTHyperRule.of(100, (20, 20))
    # Four batches an epoch of 100 images at 32, one at 512.
    assert rule.num_epochs(100, 32) == 125 and rule.num_epochs(100, 512) == 500 and rule.num_epochs(96, 7) * 14 >= 500


def test_the_rate_falls_at_30_60_and_90_per_cent():
    schedule = step_decay(1.0, 100)
    rates = np.array([float(schedule(step)) for step in range(100)])
    np.testing.assert_allclose(rates[[0, 29]], 1.0)
    np.testing.assert_allclose(rates[[30, 59]], 0.1)
    np.testing.assert_allclose(rates[[60, 89]], 0.01, rtol=1e-5)
    np.testing.assert_allclose(rates[[90, 99]], 0.001, rtol=1e-5)


def test_fine_tune_follows_the_schedule():
    x, y = colour_images(12)
    builder = tft.ImageClassifier(num_classes=3, backbone=small_backbone(), trainable=True, augmentation=None)
    model, seen = builder.build(), []
    model.compile(BiTHyperRule.of(12, (16, 16)).optimizer(), model.loss)

    def look(epoch, logs):
        optimizer = model.optimizer
        seen.append((type(optimizer).__name__, round(float(optimizer.learning_rate), 9)))

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=look)]
    options = {"validation_split": 0.0, "batch_size": 6, "callbacks": callbacks, "verbose": 0, "seed": 0}
    phases = {**BiTHyperRule.of(12, (16, 16)).phases(12, 6), "epochs": 5}
    tft.fine_tune(model, (x, y), **phases, **options)
    # Two steps an epoch, ten in all: at the end of epochs 2, 4, 6, 8 and 10 of them are done.
    assert seen == [("SGD", rate) for rate in (0.003, 0.0003, 0.00003, 0.00003, 0.000003)]
    with pytest.raises(ValueError, match="`schedule` must be one of"):
        tft.fine_tune(model, (x, y), schedule="step", verbose=0)


def test_the_recipe_of_a_run(photos):
    given = {"images": str(photos), "recipe": "bit", "batch_size": 8, "backbone": "mobilenet_v2", "weights": None}
    config = TrainConfig.from_dict(given)
    with pytest.warns(UserWarning, match="nothing is transferred"):
        builder, training, validation = config.open()
    # Images of 64 x 64 pixels are small; 24 of the 30 train, three batches an epoch.
    assert builder.input_shape == (128, 128, 3) and training.image_size == validation.image_size == (128, 128)
    assert builder.trainable is True and builder.augmentation == "flip"
    assert config.phases(builder, len(training)) == {
        "freeze_epochs": 0, "epochs": 167, "learning_rate": 0.003, "fine_tuning_rate": 0.003, "layer_decay": None,
        "schedule": "steps",
    }  # fmt: skip
    assert TrainConfig.from_dict(config.to_dict()) == config
    fixed = TrainConfig.from_dict({**config.to_dict(), "image_size": 32, "augmentation": "none"})
    with pytest.warns(UserWarning):
        builder, training, _ = fixed.open()
    assert builder.input_shape == (32, 32, 3) and builder.augmentation is None
    with pytest.raises(ValueError, match="recipe='bit' says epochs, trainable itself"):
        TrainConfig.from_dict({"images": photos, "recipe": "bit", "epochs": 3, "trainable": 2})


@pytest.mark.slow
def test_a_run_by_the_recipe_learns(photos, tiny_backbone):
    config = {"images": photos, "recipe": "bit", "backbone": tiny_backbone, "features_cache": False}
    result = tft.workflow.train(TrainConfig.from_dict(config), verbose=0)
    # The backbone of the test is random, for which the rates of the rule are small: it learns, and is not done.
    loss = result.history.history["loss"]
    assert loss[-1] < loss[0] and len(loss) == 500 and result.accuracy > 0.5
    assert isinstance(result.model.optimizer, keras.optimizers.SGD)

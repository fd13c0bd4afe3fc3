"""From labelled images, texts, rows or recordings to a served model, in one call."""

import dataclasses
import functools
import os

import keras

from tf_transfer.analysis import ClassifierEvaluation, RegressionEvaluation, evaluate_classifier, evaluate_regressor
from tf_transfer.builders import Builder, ImageBuilder
from tf_transfer.distribution import is_chief, on_chief
from tf_transfer.fine_tuning import FineTuningHistory, fine_tune
from tf_transfer.layers import save_model
from tf_transfer.serving.version_folders import check_target
from tf_transfer.training import average_statistics, plain_model
from tf_transfer.workflow.classifier_result import ClassifierResult
from tf_transfer.workflow.labelled_rows import as_data, examples_fingerprint, nouns
from tf_transfer.workflow.output_folder import check_file, check_output, joined, phases_of, write_run
from tf_transfer.workflow.run_export import kept_if_it_fails, write_and_export
from tf_transfer.workflow.run_record import RunRecord
from tf_transfer.workflow.run_resume import run_state
from tf_transfer.workflow.run_strategy import run_strategy


@dataclasses.dataclass(frozen=True, eq=False)
class TrainResult(ClassifierResult):
    """What came out of a training run.

    Attributes:
        model: The trained `keras.Model`.
        builder: The `tft.ImageClassifier` that made it, or another builder for other inputs.
        history: The `FineTuningHistory`.
        evaluation: The `tft.analysis.ClassifierEvaluation` on the validation examples, or `RegressionEvaluation` where
            values are predicted.
        passed: Boolean, whether the accuracy reached `min_accuracy`; True when none was asked for.
        saved_model: String, the `.keras` file, or None.
        output: String, the folder with the results, or None.
        export_path: String, the version folder of the served model, or None.
        is_chief: Boolean, whether this process is the one that wrote; False in all workers of a run but the first.
    """

    model: keras.Model
    builder: Builder
    history: FineTuningHistory
    evaluation: ClassifierEvaluation | RegressionEvaluation
    passed: bool = True
    saved_model: str | None = None
    output: str | None = None
    export_path: str | None = None
    is_chief: bool = True


def train(config, *, callbacks=(), verbose=1, resume=None):
    """Trains a model on labelled images, texts, rows or recordings, measures it, and exports it for serving.

    What can be told from the configuration and the files is told first: names, sizes, paths, columns, and files that
    can't be read. Then the two phases of `tft.fine_tune` run, the model is measured on the validation examples, and,
    when it reached `min_accuracy`, saved and exported.

    `output` becomes a folder with model.keras, config.yaml, history.csv, result.json and predictions.csv. It appears
    complete or not at all.

    Args:
        config: A `TrainConfig` for images, or a `TextTrainConfig`, `TableTrainConfig` or `AudioTrainConfig`.
        callbacks: Sequence of Keras callbacks. Defaults to none.
        verbose: 0, 1 (one bar an epoch) or 2 (one line an epoch), as in `fit`. Defaults to 1.
        resume: Path of a folder that keeps the state of the run after each epoch, or True for one beside what the run
            leaves: a run that was stopped, even killed, goes on from there when it is called again, and the folder
            goes at the end. Defaults to None, which keeps nothing.

    Returns:
        A `TrainResult`. When `min_accuracy` was missed, `passed` is False and nothing was saved or exported.

    Raises:
        ValueError: For input that can't be trained on.
        OSError: For folders and files that can't be read, and places that can't be written to.

    Example:

    >>> for name in ("dark", "light"):
    ...     for i in range(5):
    ...         os.makedirs(f"photos/{name}", exist_ok=True)
    ...         pixels = np.full((32, 32, 3), 40 * i + (80 if name == "light" else 0))
    ...         keras.utils.save_img(f"photos/{name}/{i}.png", pixels, scale=False)
    >>> keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3)], name="tiny").save("tiny.keras")
    >>> config = tft.workflow.TrainConfig.from_dict({
    ...     "images": "photos", "backbone": "file:tiny.keras", "freeze_epochs": 5, "epochs": 0,
    ...     "export": "saved_models/light"})
    >>> result = train(config, verbose=0)
    >>> result.class_names, result.export_path
    (['dark', 'light'], 'saved_models/light/1')
    """
    record = RunRecord("train", config)
    run_on, verbose = run_strategy(config, verbose)
    check_targets(config)
    check_output(config.output)
    builder, training, validation = config.open()
    if config.min_accuracy is not None and training.class_names is None:
        raise ValueError("`min_accuracy` is for classes, and the target is a number: leave it out.")
    with run_state(resume, config, [training, validation], run_on, verbose) as state:
        options = {"state": state, "callbacks": callbacks, "verbose": verbose}
        return _run(record, run_on, builder, training, validation, **options)


def _run(record, run_on, builder, training, validation, *, state, callbacks, verbose):
    config = record.config
    class_weight = weights_by_index(config, training.class_names)
    with run_on.scope():
        model = config.prepared(builder.build())
    if verbose:
        print(describe(builder, training, validation))
    # Examples that are to choose nothing are not seen before the end; nothing is held out in their place.
    watched = {"validation_data": as_data(validation)} if config.restore_best_weights else {"validation_split": 0.0}
    history = fine_tune(
        model,
        as_data(training),
        **watched,
        **config.phases(builder, len(training)),
        batch_norm=builder.batch_norm,
        features_cache=config.features_cache or False,
        class_weight=class_weight,
        batch_size=config.batch_size,
        callbacks=callbacks,
        seed=config.seed,
        verbose=verbose,
        resume=state,
    )
    average_statistics(model)
    evaluation = _evaluate(model, validation, config.batch_size)
    result = TrainResult(plain_model(model), builder, history, evaluation, is_chief=is_chief(run_on))
    if config.min_accuracy is not None and evaluation.accuracy < config.min_accuracy:
        return dataclasses.replace(result, passed=False)

    def write(trained_on):
        history, method = joined(phases_of(result.history)), " + ".join(phase.name for phase in result.history.phases)
        return write_run(config, result, history, record, method=method, measured=validation, trained_on=trained_on)

    return on_chief(lambda: keep(config, result, training, validation, write), run_on) or result


def _evaluate(model, validation, batch_size):
    if validation.class_names is None:
        return evaluate_regressor(model, as_data(validation), batch_size=batch_size)
    return evaluate_classifier(model, as_data(validation), validation.class_names, batch_size=batch_size)


def check_targets(config):
    """Raises when what the run is to write could not be written."""
    if config.export is not None:
        check_target(config.export)
    if config.save_model is not None:
        check_file(config.save_model, "save_model")


def weights_by_index(config, class_names):
    """Returns weights by index from weights by name."""
    weights = config.class_weight
    if weights is not None and class_names is None:
        raise ValueError("`class_weight` is for classes, and the target is a number: leave it out.")
    if not isinstance(weights, dict):
        return weights
    if set(weights) != set(class_names):
        raise ValueError(f"`class_weight` must have a weight for each of {class_names}. Received: {weights}.")
    return {index: weights[name] for index, name in enumerate(class_names)}


def describe(builder, training, validation):
    """Returns a sentence about the data and the backbone of a run."""
    names = training.class_names
    target = f"values {training.y.min():g} to {training.y.max():g}" if names is None else f"{len(names)} classes"
    sentence = f"{target}, {len(training)} {nouns(training)} to train on and {len(validation)} to measure on"
    if isinstance(builder, ImageBuilder):
        height, width, channels = builder.input_shape
        sentence += f", scaled to {height} x {width} pixels, {channels} channels"
    backbone = getattr(builder, "backbone", None)
    return sentence if backbone is None else f"{sentence}; backbone {backbone}"


def keep(config, result, training, validation, write):
    """Saves, writes the folder of the run and exports, whichever is asked for; returns the result with the places.

    Args:
        config: `TrainingConfig` of the run.
        result: Result of the run.
        training: The examples that it was trained on.
        validation: The examples that it was measured on.
        write: Function of a function that returns the fingerprint of the data: writes the folder, returns its path.
    """
    saved = None
    if config.save_model is not None:
        saved = os.fspath(config.save_model)
        with kept_if_it_fails(result, saved, "saving", f"{saved!r} was not written"):
            save_model(result.model, saved, result.class_names)
        result = dataclasses.replace(result, saved_model=saved)
    trained_on = functools.cache(lambda: examples_fingerprint(training))
    return write_and_export(config, result, lambda: write(trained_on), validation, trained_on, saved=saved)

"""From a folder of images to the classifier that a search found best, in one call."""

import dataclasses
import os

import keras

from tf_transfer.analysis import ClassifierEvaluation, evaluate_classifier
from tf_transfer.builders import ImageClassifier
from tf_transfer.tuning import SearchResult, search
from tf_transfer.workflow.classifier_result import ClassifierResult
from tf_transfer.workflow.output_folder import write_model_and_config
from tf_transfer.workflow.run_record import RunRecord
from tf_transfer.workflow.train import check_targets, describe, keep, weights_by_index


@dataclasses.dataclass(frozen=True, eq=False)
class TuneResult(ClassifierResult):
    """What came out of a search.

    Attributes:
        model: The `keras.Model` of the best trial, as it was trained.
        builder: The `tft.ImageClassifier` that made it.
        search: The `tft.tuning.SearchResult`, with all trials.
        evaluation: The `tft.analysis.ClassifierEvaluation` of the best model on the validation images. The search chose
            it on the same images, so that its accuracy is a little too good.
        passed: Boolean, whether the accuracy reached `min_accuracy`; True when none was asked for.
        saved_model: String, the `.keras` file, or None.
        output: String, the folder with the results.
        export_path: String, the version folder of the served model, or None.
    """

    model: keras.Model
    builder: ImageClassifier
    search: SearchResult
    evaluation: ClassifierEvaluation
    passed: bool = True
    saved_model: str | None = None
    output: str | None = None
    export_path: str | None = None


def tune(config, *, callbacks=(), verbose=1):
    """Searches for the best classifier of a folder per class, measures it, and exports it for serving.

    What `tft.workflow.train` does, with `tft.tuning.search` in place of one training. Beside the trials, the folder
    `output` gets trials.csv and best_builder.yaml, and, as that of any run, the best model as model.keras, config.yaml,
    result.json and predictions.csv.

    Args:
        config: A `TuneConfig`.
        callbacks: Sequence of Keras callbacks, of which each trial gets copies. Defaults to none.
        verbose: 0, 1 (two lines a trial) or 2 (also a line an epoch). Defaults to 1.

    Returns:
        A `TuneResult`. When `min_accuracy` was missed, `passed` is False and nothing was saved or exported. None for a
        `tft.tuning.worker`, whose chief has the result.

    Raises:
        ValueError: For input that can't be trained on.
        OSError: For folders and files that can't be read, and places that can't be written to.
        RuntimeError: When all trials failed.

    Example:

    >>> for name in ("dark", "light"):
    ...     for i in range(5):
    ...         os.makedirs(f"photos/{name}", exist_ok=True)
    ...         keras.utils.save_img(f"photos/{name}/{i}.png", np.full((32, 32, 3), 25 * i + 9), scale=False)
    >>> keras.Sequential([keras.layers.Input((32, 32, 3)), keras.layers.Conv2D(4, 3)]).save("tiny.keras")
    >>> config = tft.workflow.TuneConfig.from_dict({
    ...     "images": "photos", "backbone": "file:tiny.keras", "image_size": 32, "freeze_epochs": 1, "epochs": 0,
    ...     "space": {"dropout": {"choice": [0.0, 0.3]}}, "tuner": "grid"})
    >>> result = tune(config, verbose=0)
    >>> len(result.search.trials), sorted(os.listdir("tuning"))[:2]
    (2, ['best_builder.yaml', 'config.yaml'])
    """
    record = RunRecord("tune", config)
    check_targets(config)
    space = config.read_space()
    builder, training, validation = config.open()
    if verbose:
        print(describe(builder, training, validation))
    directory, project_name = os.path.split(os.path.abspath(config.output))
    found = search(
        builder,
        space,
        train=training,
        validation=validation,
        tuner=config.tuner,
        max_trials=config.max_trials,
        objective=config.objective,
        directory=directory,
        project_name=project_name,
        seed=config.seed,
        overwrite=config.overwrite,
        features_cache=config.features_cache or False,
        callbacks=callbacks,
        tensorboard=config.tensorboard,
        strategy=config.strategy,
        verbose=verbose,
        **_shared(config, builder, training),
    )
    if found is None:
        return None
    found.to_csv(os.path.join(config.output, "trials.csv"))
    found.best_builder.to_yaml(os.path.join(config.output, "best_builder.yaml"))
    evaluation = evaluate_classifier(found.best_model, validation, builder.class_names, batch_size=config.batch_size)
    result = TuneResult(found.best_model, found.best_builder, found, evaluation)
    if config.min_accuracy is not None and evaluation.accuracy < config.min_accuracy:
        return dataclasses.replace(result, passed=False)

    def write(trained_on):
        write_model_and_config(config, result, config.output)
        said = {"method": f"{config.tuner} search", "measured": validation, "trained_on": trained_on}
        record.write(config.output, result, **said)
        return os.fspath(config.output)

    return keep(config, result, training, validation, write)


def _shared(config, builder, training):
    """Returns the arguments of `fine_tune` that all trials have."""
    return {
        "freeze_epochs": config.freeze_epochs,
        "epochs": config.epochs,
        "learning_rate": config.learning_rate,
        "fine_tuning_rate": config.fine_tuning_rate,
        "layer_decay": config.layer_decay,
        "batch_norm": builder.batch_norm,
        "class_weight": weights_by_index(config, training.class_names),
        "batch_size": config.batch_size,
    }

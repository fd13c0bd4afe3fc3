"""From labelled files to a searched, measured, saved and exported model: the run behind `tf-transfer auto`."""

import dataclasses
import os

import keras

from tf_transfer import _files
from tf_transfer.analysis import ClassifierEvaluation, evaluate_classifier
from tf_transfer.builders import Builder
from tf_transfer.choosing.auto import auto
from tf_transfer.choosing.auto_result import AutoResult
from tf_transfer.choosing.baselines import baselines, plain_data
from tf_transfer.choosing.configs import completed, train_config
from tf_transfer.choosing.examples import read_examples
from tf_transfer.choosing.methods import METHODS, phases_for
from tf_transfer.workflow.classifier_result import ClassifierResult
from tf_transfer.workflow.labelled_rows import as_data
from tf_transfer.workflow.output_folder import DPI, check_output, joined, phases_of, write_run
from tf_transfer.workflow.run_record import RunRecord
from tf_transfer.workflow.train import check_targets, keep

_PROTOTYPES = (
    "its classifier is made of the mean features of the classes, which no configuration of a training says. Repeat the "
    "search with tf-transfer auto, or train a head on the same features: tf-transfer train --config {!r}."
)


@dataclasses.dataclass(frozen=True, eq=False)
class AutoRun(ClassifierResult):
    """What came out of a search as a run.

    Attributes:
        found: The `tft.choosing.AutoResult`.
        model: The `keras.Model` that it found best, trained on all examples but those that are measured on.
        builder: The builder that made it.
        evaluation: The `tft.analysis.ClassifierEvaluation` on examples that the search did not see.
        compared: Dict of names to evaluations on the same, of what needs no network.
        passed: Boolean, whether the accuracy reached `min_accuracy`; True when none was asked for.
        saved_model: String, the `.keras` file, or None.
        output: String, the folder with the results, or None.
        export_path: String, the version folder of the served model, or None.
    """

    found: AutoResult
    model: keras.Model
    builder: Builder
    evaluation: ClassifierEvaluation
    compared: dict
    passed: bool = True
    saved_model: str | None = None
    output: str | None = None
    export_path: str | None = None


def auto_run(config, minutes=20, **options):
    """Searches for the best way to learn the examples of files, measures it on a part that is set aside, and keeps it.

    The folder `output` is that of any run, and has tried.csv, tried.json and tried.png beside it. Its config.yaml says
    what was chosen, so that `tf-transfer train --config` makes the same model again.

    Args:
        config: `tft.workflow.TrainConfig` or that of another kind: what to learn from, what to measure on, where to
            keep what came out, and fields of the builder that all candidates share. How long and how fast is searched.
        minutes: As in `tft.auto`. Reading, measuring and exporting come on top.
        **options: As of `tft.auto`.

    Returns:
        An `AutoRun`. When `min_accuracy` was missed, `passed` is False and nothing was saved or exported.

    Raises:
        ValueError: For input or options that can't be, before anything is trained.
        OSError: For folders and files that can't be read, and places that can't be written to.
    """
    record = RunRecord("auto", config)
    check_targets(config)
    check_output(config.output)
    training, validation = config.labelled()
    known = read_examples(training, "the training examples")
    shared = {name: value for name, value in config.builder.items() if name != "class_names"}
    shared |= {"batch_size": config.batch_size, "seed": config.seed, "cache": config.features_cache}
    found = auto(training, minutes, **shared, **options)
    # Until now it said what to search in; from here on what was found.
    record.config = config = _chosen_config(config, known, found)
    compared = _compared(known, validation, config.seed)
    builder, training, validation = config.open()
    names = list(builder.class_names)
    evaluation = evaluate_classifier(found.model, as_data(validation), names, batch_size=config.batch_size)
    result = AutoRun(found, found.model, builder, evaluation, compared)
    if config.min_accuracy is not None and evaluation.accuracy < config.min_accuracy:
        return dataclasses.replace(result, passed=False)

    def write(trained_on):
        return _write(config, result, record, measured=validation, trained_on=trained_on)

    return keep(config, result, training, validation, write)


def _chosen_config(config, known, found):
    """Returns the configuration that makes the model that was found, or one near it where none does."""
    chosen = found.config
    if chosen is None:
        phases = phases_for("feature_extraction", len(known.labels), config.batch_size)
        settings = {"batch_size": config.batch_size, "seed": config.seed, "restore_best_weights": False}
        chosen = train_config(known, found.builder, phases, **settings)
    return completed(config, chosen)


def _compared(known, validation, seed):
    """Returns a dict of the evaluations of what needs no network, on the examples that are measured on."""
    held_out = read_examples(validation, "the validation examples")
    pairs = [plain_data(each) for each in (known, held_out)] if baselines(known) else ()
    return {each.name: each.evaluate(*pairs, known.class_names) for each in baselines(known, seed)}


def _write(config, result, record, **said):
    """Writes the folder of the run and returns its path."""
    found = result.found
    method = f"search: {METHODS[found.best.method].title}"
    history = joined([] if found.history is None else phases_of(found.history))
    reason = _PROTOTYPES.format(os.path.join(config.output, "config.yaml")) if found.config is None else None

    def more(draft):
        found.to_csv(os.path.join(draft, "tried.csv"))
        _files.write_json(os.path.join(draft, "tried.json"), found.to_dict(), indent=2, ensure_ascii=False)
        found.plot().savefig(os.path.join(draft, "tried.png"), dpi=DPI)

    said |= {"method": method, "compared": result.compared, "not_repeatable": reason}
    return write_run(config, result, history, record, more=more, **said)

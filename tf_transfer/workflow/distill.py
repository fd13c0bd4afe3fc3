"""From a large classifier and a folder of images to a small classifier that has learned from both."""

import dataclasses
import functools

import keras

from tf_transfer.analysis import ClassifierEvaluation, ModelComparison
from tf_transfer.builders import ImageClassifier
from tf_transfer.distribution import is_chief, on_chief
from tf_transfer.serving.version_folders import check_target
from tf_transfer.training import plain_model
from tf_transfer.workflow import distill_results
from tf_transfer.workflow.distill_folders import read_images_of
from tf_transfer.workflow.distill_models import agreed_class_names, read_student, read_teacher
from tf_transfer.workflow.distill_run import DistillRun
from tf_transfer.workflow.export_record import files_fingerprint
from tf_transfer.workflow.output_folder import check_output, joined
from tf_transfer.workflow.run_export import write_and_export
from tf_transfer.workflow.run_record import RunRecord
from tf_transfer.workflow.run_resume import run_state
from tf_transfer.workflow.run_strategy import run_strategy


@dataclasses.dataclass(frozen=True, eq=False)
class DistillResult:
    """What came out of a distillation run.

    Attributes:
        model: The student, a deployable `keras.Model`.
        teacher: The `keras.Model` that it learned from.
        student_alone: The same student trained without the teacher, or None.
        builder: The `tft.ImageClassifier` that made the student, or None for one from a file.
        history: Dict of the entries of the training, a list of one value an epoch each; "phase" says which epochs
            were those of the student alone.
        comparison: The `tft.analysis.ModelComparison` of teacher, student alone and student on the validation images.
        class_names: List of strings, the classes in the order of the models' scores.
        output: String, the folder with the results, or None.
        export_path: String, the version folder of the served student, or None.
        is_chief: Boolean, whether this process is the one that wrote; False in all workers of a run but the first.
    """

    model: keras.Model
    teacher: keras.Model
    student_alone: keras.Model | None
    builder: ImageClassifier | None
    history: dict
    comparison: ModelComparison
    class_names: list
    output: str | None = None
    export_path: str | None = None
    is_chief: bool = True

    @property
    def evaluation(self) -> ClassifierEvaluation:
        """The `tft.analysis.ClassifierEvaluation` of the student on the validation images."""
        return self.comparison.evaluations["student"]

    @property
    def conclusion(self):
        """String, what the student saves, and whether the teacher helped, where that is known."""
        return distill_results.conclusion(self.comparison)


def distill(config, *, callbacks=(), verbose=1, resume=None):
    """Trains a small image classifier on labels and on what a large one says, measures both, and exports the small one.

    What can be told from the configuration, the models and the folders is told first. Validation images choose nothing
    in the training, so that the figures on them are fair.

    `output` becomes a folder with model.keras (the student), config.yaml, history.csv, result.json, predictions.csv,
    comparison.csv, confusion.png and report.html. It appears complete or not at all.

    Args:
        config: A `DistillConfig`.
        callbacks: Sequence of Keras callbacks of the distillation. Defaults to none.
        verbose: 0, 1 (one bar an epoch) or 2 (one line an epoch), as in `fit`. Defaults to 1.
        resume: Path of a folder that keeps the state of the run after each epoch, or True for one beside what the run
            leaves: a run that was stopped, even killed, goes on from there when it is called again, and the folder
            goes at the end. Defaults to None, which keeps nothing.

    Returns:
        A `DistillResult`.

    Raises:
        ValueError: For models or images that don't go together.
        OSError: For folders and files that can't be read, and places that can't be written to.

    Example:

    >>> import os, warnings
    >>> for name in ("dark", "light"):
    ...     for i in range(5):
    ...         os.makedirs(f"photos/{name}", exist_ok=True)
    ...         pixels = np.full((32, 32, 3), 40 * i + (80 if name == "light" else 0))
    ...         keras.utils.save_img(f"photos/{name}/{i}.png", pixels, scale=False)
    >>> backbone = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(4, 3)], name="tiny")
    >>> backbone.save("tiny.keras")
    >>> tft.ImageClassifier(num_classes=2, backbone="file:tiny.keras").build().save("teacher.keras")
    >>> config = tft.workflow.DistillConfig.from_dict({
    ...     "teacher": "teacher.keras", "student": "file:tiny.keras", "images": "photos", "augmentation": "none",
    ...     "epochs": 1, "output": "distilled"})
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")  # the teacher has learned nothing
    ...     result = tft.workflow.distill(config, verbose=0)
    >>> [row.name for row in result.comparison.rows], sorted(os.listdir(result.output))[:2]
    (['teacher', 'student'], ['comparison.csv', 'config.yaml'])
    """
    record = RunRecord("distill", config)
    run_on, verbose = run_strategy(config, verbose)
    if config.export is not None:
        check_target(config.export)
    check_output(config.output)
    with run_on.scope():
        teacher = read_teacher(config)
    shape, _ = read_student(config, teacher)
    class_names = agreed_class_names(config, teacher)
    folders = read_images_of(config, shape, class_names)
    images = [each for each in (folders.training, folders.validation, folders.unlabeled) if each is not None]
    with run_state(resume, config, images, run_on, verbose) as state:
        run = DistillRun(config, teacher, folders, shape, verbose, state)
        return _run(record, config, run_on, run, callbacks)


def _run(record, config, run_on, run, callbacks):
    teacher, folders = run.teacher, run.folders
    student, builder = run.make_student()
    distiller = run.distiller(student)
    run.tell()
    phases, models = [], {"teacher": teacher}
    if config.compare_alone:
        models["student alone"], _ = run.make_student()
        phases.append(("student alone", run.train_alone(models["student alone"])))
    phases.append(("distillation", run.distill(distiller, callbacks)))
    models["student"] = student
    # Each for one device, like what is saved and served.
    models = {name: plain_model(model) for name, model in models.items()}
    result = DistillResult(
        model=models["student"],
        teacher=models["teacher"],
        student_alone=models.get("student alone"),
        builder=builder,
        history=joined(phases),
        comparison=run.compare(models),
        class_names=list(folders.class_names),
        is_chief=is_chief(run_on),
    )
    return on_chief(lambda: _keep(record, config, result, folders), run_on) or result


def _keep(record, config, result, folders):
    """Writes and exports, whichever is asked for, and returns the result with the places."""

    @functools.cache
    def trained_on():
        images = [folders.training, *([] if folders.unlabeled is None else [folders.unlabeled])]
        return ", ".join(files_fingerprint(each) for each in images)

    def write():
        return distill_results.write(result, config, record, folders.validation, trained_on)

    return write_and_export(config, result, write, folders.validation, trained_on)

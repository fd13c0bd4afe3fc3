"""From two folders of images, one of them without labels, to a classifier that works on the second."""

import dataclasses
import functools

import keras

from tf_transfer.adaptation import DomainAdversarialClassifier
from tf_transfer.analysis import ClassifierEvaluation, evaluate_classifier
from tf_transfer.data import match_labels, pair_domains
from tf_transfer.distribution import is_chief, is_multi_worker, on_chief
from tf_transfer.serving.version_folders import check_target
from tf_transfer.training import as_multi_worker, average_statistics
from tf_transfer.workflow import adapt_results
from tf_transfer.workflow.chosen_backbone import check_backbone, input_shape
from tf_transfer.workflow.domain_folders import read_domains
from tf_transfer.workflow.export_record import files_fingerprint
from tf_transfer.workflow.output_folder import check_output, joined
from tf_transfer.workflow.run_export import write_and_export
from tf_transfer.workflow.run_record import RunRecord
from tf_transfer.workflow.run_resume import run_state
from tf_transfer.workflow.run_strategy import run_strategy

_FROM_SCRATCH = "To train from scratch, let everything train: trainable=true, batch_norm=trainable."


@dataclasses.dataclass(frozen=True, eq=False)
class AdaptResult:
    """What came out of an adaptation run.

    Attributes:
        model: The adapted, deployable `keras.Model`.
        method: The method that was fitted, such as a `tft.DANN`.
        builder: The `tft.DomainAdversarialClassifier` that made it.
        history: Dict of the entries of the training, a list of one value an epoch each; "phase" says which epochs
            were on the source alone.
        source_only: The `tft.analysis.ClassifierEvaluation` on labelled target images before the adaptation, or None.
        evaluation: The same after the adaptation, or None without labelled target images.
        features: Dict of "source only" and "adapted" to features of the source and the target, a pair of arrays each.
        feature_labels: Pair of labels of these features; None for a target without labels.
        output: String, the folder with the results, or None.
        export_path: String, the version folder of the served model, or None.
        is_chief: Boolean, whether this process is the one that wrote; False in all workers of a run but the first.
    """

    model: keras.Model
    method: keras.Model
    builder: DomainAdversarialClassifier
    history: dict
    source_only: ClassifierEvaluation | None
    evaluation: ClassifierEvaluation | None
    features: dict
    feature_labels: tuple
    output: str | None = None
    export_path: str | None = None
    is_chief: bool = True

    @property
    def class_names(self):
        """List of strings, the classes in the order of the model's scores."""
        return list(self.builder.class_names)


def adapt(config, *, callbacks=(), verbose=1, resume=None):
    """Adapts an image classifier to images without labels, measures and shows what that changed, and exports it.

    What can be told from the configuration and the folders is told first. Then the model is trained on the source
    alone, which makes the model to compare to, and goes on from there with the method on both domains. With labelled
    target images both are measured on those; they chose nothing in the training.

    `output` becomes a folder with model.keras (the deployable model), config.yaml, history.csv, result.json,
    features.png, report.html and, with labelled target images, predictions.csv and confusion.png. It appears complete
    or not at all.

    Args:
        config: An `AdaptConfig`.
        callbacks: Sequence of Keras callbacks of the adaptation. Defaults to none.
        verbose: 0, 1 (one bar an epoch) or 2 (one line an epoch), as in `fit`. Defaults to 1.
        resume: Path of a folder that keeps the state of the run after each epoch, or True for one beside what the run
            leaves: a run that was stopped, even killed, goes on from there when it is called again, and the folder
            goes at the end. Defaults to None, which keeps nothing.

    Returns:
        An `AdaptResult`.

    Raises:
        ValueError: For input that can't be adapted.
        OSError: For folders and files that can't be read, and places that can't be written to.

    Example:

    >>> import os
    >>> rng = np.random.default_rng(0)
    >>> for folder in ("paper/dark", "paper/light", "street"):
    ...     for i in range(6):
    ...         os.makedirs(folder, exist_ok=True)
    ...         pixels = np.full((32, 32, 3), 20 * i + (120 if folder == "paper/light" else 0))
    ...         keras.utils.save_img(f"{folder}/{i}.png", pixels, scale=False)
    >>> keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3)], name="small").save("small.keras")
    >>> config = tft.workflow.AdaptConfig.from_dict({
    ...     "source": "paper", "target": "street", "backbone": "file:small.keras", "batch_size": 4, "epochs": 1,
    ...     "source_epochs": 1, "projection": "pca", "output": "adapted"})
    >>> result = tft.workflow.adapt(config, verbose=0)
    >>> sorted(os.listdir(result.output))
    ['config.yaml', 'features.png', 'history.csv', 'model.keras', 'report.html', 'result.json']
    """
    record = RunRecord("adapt", config)
    run_on, verbose = run_strategy(config, verbose)
    if is_multi_worker(run_on):
        config.check_machines()
    if config.export is not None:
        check_target(config.export)
    check_output(config.output)
    shape = input_shape(config)
    check_backbone(config, shape, _FROM_SCRATCH)
    domains = read_domains(config, shape)
    folders = [each for each in (domains.source, domains.target, domains.validation) if each is not None]
    with run_state(resume, config, folders, run_on, verbose) as state:
        return _run(record, config, run_on, domains, state=state, callbacks=callbacks, verbose=verbose)


def _run(record, config, run_on, domains, *, state, callbacks, verbose):
    shape = input_shape(config)
    builder = config.make_builder(domains.source.class_names, shape)
    with run_on.scope():
        method = builder.build()
    if verbose:
        print(_describe(builder, domains))
    state.begin_with(method)
    source_history, source_only, before = _train_on_source(config, method, domains, state, verbose)
    pairs = pair_domains(domains.source, domains.target, config.batch_size, seed=config.seed)
    pairs = builder.augment(match_labels(pairs, builder.num_classes, builder.one_hot_labels))
    options = {"epochs": config.epochs, "callbacks": callbacks, "verbose": verbose}
    history = state.fit("adaptation", method, pairs, **options).history
    average_statistics(method)
    # Outside of the scope: this one is for one device, like what is saved and served.
    model = method.deployable()
    # ADDA keeps the source's encoder beside the target's.
    source_encoder = getattr(method, "source_encoder", None)
    features, labels = domains.features(method.encoder, config.batch_size, config.seed, source_encoder=source_encoder)
    result = AdaptResult(
        model=model,
        method=method,
        builder=builder,
        history=joined([("source only", source_history), ("adaptation", history)]),
        source_only=source_only,
        evaluation=_evaluation(config, model, domains),
        features={**before, "adapted": features},
        feature_labels=labels,
        is_chief=is_chief(run_on),
    )
    return on_chief(lambda: _keep(record, config, result, domains), run_on) or result


def _describe(builder, domains):
    height, width, channels = builder.input_shape
    measured = f", {len(domains.validation)} to measure on" if domains.validation is not None else ", none with labels"
    return (
        f"{len(builder.class_names)} classes; {len(domains.source)} images of the source, {len(domains.target)} of the "
        f"target{measured}; scaled to {height} x {width} pixels, {channels} channels; backbone {builder.backbone}, "
        f"method {builder.method}"
    )


def _train_on_source(config, method, domains, state, verbose):
    """Returns the history, the evaluation on the target and the features of a model that saw the source alone."""
    if not config.source_epochs:
        return {}, None, {}
    # It shares its weights with the method, which goes on from here.
    with method.distribute_strategy.scope():
        plain = as_multi_worker(method.deployable())
    builder = method.builder
    batches = domains.source.dataset(config.batch_size, shuffle=True, seed=config.seed)
    batches = builder.augment(match_labels(batches, builder.num_classes, builder.one_hot_labels))
    options = {"epochs": config.source_epochs, "verbose": verbose}
    history = state.fit("source only", plain, batches, **options).history
    average_statistics(plain)
    features, _ = domains.features(method.encoder, config.batch_size, config.seed)
    return history, _evaluation(config, plain, domains), {"source only": features}


def _evaluation(config, model, domains):
    if domains.validation is None:
        return None
    return evaluate_classifier(model, domains.validation, batch_size=config.batch_size)


def _keep(record, config, result, domains):
    """Writes and exports, whichever is asked for, and returns the result with the places."""

    @functools.cache
    def trained_on():
        return f"source {files_fingerprint(domains.source)}, target {files_fingerprint(domains.target)}"

    def write():
        return adapt_results.write(result, config, record, domains.validation, trained_on)

    return write_and_export(config, result, write, domains.source, trained_on)

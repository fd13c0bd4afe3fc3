"""The sections of a report about a trained model; each adds nothing where there is nothing to say."""

import dataclasses
from pathlib import Path

import keras
import numpy as np

from tf_transfer.analysis.calibration import Reliability
from tf_transfer.analysis.classifier_evaluation import ClassifierEvaluation
from tf_transfer.analysis.explaining import grad_cam, occlusion
from tf_transfer.analysis.importance import permutation_importance
from tf_transfer.analysis.model_cost import machine, median_seconds, num_flops
from tf_transfer.analysis.what_moved import what_moved
from tf_transfer.analysis.word_attributions import word_attributions
from tf_transfer.backbones import count_trainable

_SHORT = 300


def summary(page, model, evaluation):
    """How good it is, in a sentence, and what it is made of."""
    page.section("In short")
    num = len(evaluation.labels) if isinstance(evaluation, ClassifierEvaluation) else len(evaluation.targets)
    if isinstance(evaluation, ClassifierEvaluation):
        low, high = evaluation.accuracy_interval()
        often = np.bincount(evaluation.labels).max() / num
        page.text(
            f"Right on {evaluation.accuracy:.1%} of {num} held-out examples (95% interval {low:.1%} to {high:.1%}); "
            f"always saying the most frequent of {len(evaluation.class_names)} classes would be right on {often:.1%}. "
            f"Macro-F1 {evaluation.macro_f1:.3f}."
        )
    else:
        low, high = evaluation.mae_interval()
        page.text(
            f"Off by {evaluation.mae:.4g} on average over {num} held-out examples (95% interval {low:.4g} to "
            f"{high:.4g}), in the unit of the target. R2 {evaluation.r2:.3f}."
        )
    builder = getattr(model, "builder", None)
    if builder is None:
        return
    page.text(f"Made by {type(builder).__name__} with these choices:")
    fields = {field.name: getattr(builder, field.name) for field in dataclasses.fields(builder)}
    rows = [[name, _shortened(value)] for name, value in fields.items() if value not in (None, (), {})]
    page.table(["field", "value"], rows)


def figures(page, evaluation):
    """Classes and calibration, or predictions against targets."""
    if not isinstance(evaluation, ClassifierEvaluation):
        page.section("Predictions and targets")
        page.figure(evaluation.plot(), "Each held-out example, and the line where predictions are right")
        return
    page.section("Classes")
    rows = zip(
        evaluation.class_names, evaluation.support.tolist(), evaluation.precision, evaluation.recall, evaluation.f1,
        strict=True,
    )  # fmt: skip
    page.table(["class", "examples", "precision", "recall", "F1"], rows)
    page.figure(evaluation.plot_confusion(), "Examples by true and predicted class; color: share of the true class")
    page.section("Is it right as often as it says?")
    reliability = Reliability(evaluation)
    error = reliability.expected_calibration_error
    page.text(
        f"Its scores are off by {error:.1%} on average (expected calibration error). "
        + ("tft.analysis.calibrate brings them nearer to how often it is right." if error > 0.05 else "")
    )
    page.figure(reliability.plot(), "Share that is right by highest score; on the dashed line scores are honest")


def mistakes(page, model, evaluation, inputs, num):
    """The most confident mistakes among the examples that were kept, as the kind of example that they are."""
    kept = len(keras.tree.flatten(inputs)[0])
    found = [each for each in evaluation.most_confident_mistakes(len(evaluation.labels)) if each.index < kept][:num]
    page.section("Its most confident mistakes")
    if not found:
        page.text(f"None among the first {kept} examples.")
        return
    words = [evaluation.describe(mistake) for mistake in found]
    if _is_images(inputs):
        page.pictures(_pictures(inputs[[each.index for each in found]]), words)
    elif _is_texts(inputs):
        page.table(["text", "mistake"], [[_text(inputs[each.index]), said] for each, said in zip(found, words)])
    elif isinstance(inputs, dict):
        rows = [[said, *(_cell(inputs[name][each.index]) for name in inputs)] for each, said in zip(found, words)]
        page.table(["mistake", *inputs], rows)
    else:
        page.table(["example", "mistake"], [[each.index, said] for each, said in zip(found, words)])


def explanations(page, model, evaluation, inputs, num):
    """What the model looks at: regions of images, words of texts."""
    if _is_images(inputs) and inputs.shape[-1] in (1, 3):
        rows = _some_of_each(evaluation, len(inputs), num)
        names = list(evaluation.class_names)
        try:
            found = grad_cam(model, inputs[rows], class_names=names)
        except ValueError:
            found = occlusion(model, inputs[rows], class_names=names)
        page.section("Where it looks")
        page.figure(found.plot(num), f"{found.method}: red spoke for the class that it predicts")
    elif _is_texts(inputs):
        rows = _some_of_each(evaluation, len(inputs), num)
        texts = [_text(inputs[row])[:_SHORT] for row in rows]
        page.section("Which words it goes by")
        lines = []
        asked = [text for text in texts if text.strip()]
        for each in word_attributions(model, asked, class_names=evaluation.class_names):
            order = np.argsort(-np.abs(each.values))[:3]
            said = ", ".join(f"{each.words[at]} {each.values[at]:+.2f}" for at in order)
            lines.append([" ".join(each.words), each.label, each.score, said])
        page.table(["text", "class", "score", "without a word the score loses"], lines)


def columns(page, model, asked):
    """How much a model of a table needs each column."""
    if not isinstance(asked.inputs, dict) or getattr(model, "loss", None) is None:
        return
    kept = len(next(iter(asked.inputs.values())))
    found = permutation_importance(model, (asked.inputs, asked.labels[:kept]))
    page.section("Which columns it goes by")
    page.figure(found.plot(), f"Rise of the loss, {found.loss:.3g}, when a column is shuffled; dots are repeats")


def training(page, history):
    """The curves of the training."""
    if history is None:
        return
    curves = getattr(history, "history", history)
    names = [name for name in curves if not name.startswith("val_") and name not in ("learning_rate", "epoch")]
    page.section("Training")
    page.figure(_curves(curves, names[:6]), "By epoch; orange: on validation data")


def moved(page, pretrained, model, data):
    """What fine-tuning changed."""
    if pretrained is None:
        return
    found = what_moved(pretrained, model, data)
    page.section("What fine-tuning moved")
    page.figure(found.plot(), "From the input (top) to the output: weights, and how alike features still are")


def domain_gap(page, gap):
    """How far the target is from the source."""
    if gap is None:
        return
    page.section("How far the target is from the source")
    page.text(gap.verdict)
    page.figure(gap.plot(), "How well a classifier tells the domains apart")


def cost(page, model, inputs):
    """What it weighs and how long it takes."""
    page.section("What it costs")
    one = keras.tree.map_structure(lambda part: part[:1], inputs)
    seconds = median_seconds({"model": model}, {"model": one}, seconds=1.0)["model"]
    count = count_trainable(model)
    rows = [["parameters", f"{model.count_params():,}"], ["of these trainable", f"{count.trainable:,}"]]
    flops = num_flops(model)
    rows += [] if flops is None else [["GFLOP an example", f"{flops / 1e9:.3g}"]]
    rows.append(["one example takes", f"{1000 * seconds:.3g} ms on {machine()}"])
    page.table(["what", "how much"], rows)


def serving(page, model, export_path):
    """How to serve it, and ask it from here."""
    page.section("How to serve it")
    if export_path is None:
        page.code(f'tft.export(model, "saved_models/{model.name}")')
        return
    page.text("The export holds preprocessing and labels; TensorFlow Serving loads the folder as it is.")
    path = Path(export_path)
    base = path.parent if path.name.isdigit() else path
    page.code(f'tensorflow_model_server --model_name={base.name} --model_base_path="{base.absolute()}"')
    page.code(f"tf-transfer predict {base} INPUT")


def _is_images(inputs):
    return isinstance(inputs, np.ndarray) and inputs.ndim == 4


def _is_texts(inputs):
    return isinstance(inputs, np.ndarray) and inputs.dtype.kind in "OSU"


def _text(value):
    value = value.item() if isinstance(value, np.ndarray) else value
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return value


def _cell(value):
    value = np.ravel(value)
    return _text(value[0]) if value.dtype.kind in "OSU" else (float(value[0]) if len(value) == 1 else "...")


def _pictures(images):
    return images[..., :1] if images.shape[-1] not in (1, 3) else images


def _some_of_each(evaluation, kept, num):
    """Returns rows of right and wrong answers, of all classes in turn."""
    order = np.random.default_rng(0).permutation(min(kept, len(evaluation.labels)))
    ranks = np.zeros(len(order), int)
    for kind in np.unique(evaluation.labels[order]):
        members = evaluation.labels[order] == kind
        ranks[members] = np.arange(members.sum())
    return order[np.argsort(ranks, kind="stable")][:num]


def _shortened(value):
    text = str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _curves(history, names):
    from matplotlib.figure import Figure

    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.5 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(grid, names, strict=False):
        epochs = range(1, len(history[name]) + 1)
        axes.plot(epochs, history[name], color="#2f6db3")
        if f"val_{name}" in history:
            axes.plot(epochs, history[f"val_{name}"], color="#e0752d")
        axes.set_title(name, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[len(names) :]:
        axes.axis("off")
    return figure

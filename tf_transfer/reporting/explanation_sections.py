"""The sections of a report on what a model goes by: regions of images, words of texts, columns of tables."""

import dataclasses

import numpy as np

from tf_transfer.analysis.explaining import grad_cam, occlusion
from tf_transfer.analysis.importance import permutation_importance
from tf_transfer.analysis.what_moved import what_moved
from tf_transfer.analysis.word_attributions import word_attributions
from tf_transfer.reporting.example_kinds import SHORT, is_images, is_rows, is_texts, text_of

# Each column is shuffled several times, and all rows are asked each time.
_MOST_COLUMNS = 100


def where_it_looks(page, subject):
    """The regions of images that speak for the class."""
    inputs, evaluation = subject.inputs, subject.evaluation
    if not subject.is_classifier or not is_images(inputs) or inputs.shape[-1] not in (1, 3):
        return
    rows = some_of_each(evaluation.labels, len(inputs), subject.num_shown)
    names = list(evaluation.class_names)
    try:
        found = grad_cam(subject.model, inputs[rows], class_names=names)
    except ValueError:
        # A network without feature maps; what it looks at is found by covering.
        found = occlusion(subject.model, inputs[rows], class_names=names)
    page.section(subject.titled("Where it looks"))
    page.figure(one_by_one(found), f"{found.method}: red spoke for the class that it predicts, blue against it")


def one_by_one(found):
    """Returns a figure of each image, so that a narrow screen shows them below one another."""
    names = ("values", "classes", "scores", "images")
    figures = []
    for at in range(len(found.values)):
        figures.append(dataclasses.replace(found, **{name: getattr(found, name)[at : at + 1] for name in names}).plot())
        figures[-1].suptitle("")
    return figures


def words(page, subject):
    """The words of texts that speak for the class."""
    if not subject.is_classifier or not is_texts(subject.inputs):
        return
    rows = some_of_each(subject.evaluation.labels, subject.num_kept, subject.num_shown)
    texts = [text for text in (text_of(subject.inputs[row])[:SHORT] for row in rows) if text.strip()]
    if not texts:
        return
    page.section(subject.titled("Which words it goes by"))
    page.text(
        "Red words speak for the class that it predicts: without them its probability falls. Blue ones speak against."
    )
    for each in word_attributions(subject.model, texts, class_names=subject.evaluation.class_names):
        order = np.argsort(-np.abs(each.values))[:3]
        strongest = ", ".join(f"{each.words[at]} {each.values[at]:+.2f}" for at in order)
        page.words(each, f"{each.label}, {each.score:.2f}. Without a word the score loses: {strongest}")


def columns(page, subject):
    """How much a model of a table needs each column."""
    model, inputs = subject.model, subject.inputs
    usable = is_rows(inputs) and subject.labels is not None and getattr(model, "loss", None) is not None
    if not usable or len(inputs) > _MOST_COLUMNS:
        return
    found = permutation_importance(model, (inputs, subject.labels))
    page.section(subject.titled("Which columns it goes by"))
    page.figure(found.plot(), f"Rise of the loss, {found.loss:.3g}, when a column is shuffled; dots are repeats")


def moved(page, subject):
    """What fine-tuning changed."""
    if subject.pretrained is None:
        return
    found = what_moved(subject.pretrained, subject.model, subject.data)
    page.section("What fine-tuning moved")
    if all(row.weight_change == 0 for row in found.rows):
        page.text("Nothing: all weights of the backbone are as they were.")
        return
    page.figure(found.plot(), "From the input (top) to the output: weights, and how alike features still are")


def some_of_each(labels, kept, num):
    """Returns rows of some of the examples that were kept, of all classes in turn."""
    order = np.random.default_rng(0).permutation(min(kept, len(labels)))
    ranks = np.zeros(len(order), int)
    for kind in np.unique(labels[order]):
        members = labels[order] == kind
        ranks[members] = np.arange(members.sum())
    return order[np.argsort(ranks, kind="stable")][:num]

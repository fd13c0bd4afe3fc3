"""Which way of training suits which examples, with the reasons in sentences."""

import numpy as np

from tf_transfer.choosing.evidence import measured

# Labels a class up to which the mean of a class is as good a description as can be had, up to which a backbone that
# trains wants to be held, and that leave little to a source.
FEW, SOME, MANY = 3, 100, 300
# Half the summed differences of the shares of classes: the bound of `tft.analysis.DomainGap`.
UNLIKE = 0.2
# A gap below which a model of the source is tried first; see `tft.analysis.DomainGap.verdict`.
SMALL_GAP = 0.5


def described(examples):
    """Returns a sentence about what there is to learn from."""
    counts = examples.counts
    each = f"{counts[0]} each" if np.ptp(counts) == 0 else f"{counts.min()} to {counts.max()} each"
    return f"There are {len(examples.labels):,} labelled {examples.kind} of {len(counts)} classes, {each}."


def method_for(examples, at_random):
    """Returns the name of the method for labelled examples, and the reasons, a list of sentences.

    Args:
        examples: `Examples`.
        at_random: Boolean, whether the backbone starts at random, so that there is nothing to hold or to freeze.
    """
    num = examples.per_class
    if at_random:
        return "from_scratch", [
            "The network starts from random weights, so that all of it trains. A pretrained one, where there is one, "
            "or `tft.two_stage` with a related set as `source`, is worth a try."
        ]
    if num <= FEW and examples.kind in ("images", "recordings"):
        return "prototypes", [
            f"With {num} a class a head has next to nothing to fit. A class is described by the mean feature of its "
            "examples, which needs no training and has nothing to choose."
        ]
    flowers = [
        measured("few_labels", "flowers128", 50, name) for name in ("feature extraction", "fine-tuning", "L2-SP")
    ]
    ants = [measured("few_labels", "hymenoptera", 50, name) for name in ("feature extraction", "L2-SP")]
    if num < 10:
        both = [measured("few_labels", "flowers128", 5, name) for name in ("feature extraction", "L2-SP")]
        return "feature_extraction", [
            f"With {num} a class a frozen backbone is hard to beat: with 5 a class of flowers it had {both[0]}, and "
            f"the best way of training it, L2-SP, {both[1]}, which is within the noise.",
        ]
    if num <= SOME:
        return "l2_sp", [
            f"With {num} a class the backbone may learn, and wants to be held near what it knows. On flowers, which "
            f"are unlike what it was trained on, 50 a class brought {flowers[2]} held by L2-SP, {flowers[1]} without "
            f"and {flowers[0]} with the backbone frozen.",
            f"Where images are like those of the source it gains little: on ants and bees, {ants[1]} for {ants[0]}. "
            "So compare it with a frozen backbone (`tft.auto` does).",
        ]
    return "fine_tuning", [
        f"With {num} a class the labels say more than the source: on about 3,100 flowers fine-tuning brought "
        f"{measured('transfer', 'flowers128', 'fine-tuned')}, a frozen backbone "
        f"{measured('transfer', 'flowers128', 'feature extraction')}."
    ]


def likely_methods(examples, at_random):
    """Returns the names of the methods that are worth trying, cheap ones first."""
    if at_random:
        return ("from_scratch",)
    num, found = examples.per_class, []
    if num <= 3 * FEW and examples.kind in ("images", "recordings"):
        found.append("prototypes")
    found.append("feature_extraction")
    if num > FEW:
        found += ["l2_sp", "fine_tuning"]
    return tuple(found)


def is_balanced(examples):
    """Returns whether no class has ten times the examples of another."""
    return examples.counts.max() < 10 * examples.counts.min()


def adaptation_for(gap, shift, known):
    """Returns the name of an adaptation method, or "source_only", and the reasons, a list of sentences.

    Args:
        gap: `tft.analysis.DomainGap`.
        shift: Float in [0, 1], half the summed differences of the shares of the classes.
        known: Boolean, whether the shift is known, and not guessed.
    """
    reasons = [f"Between source and target the A-distance is {gap.a_distance:.2f} of at most 2. {gap.verdict}"]
    if gap.a_distance < SMALL_GAP:
        return "source_only", [*reasons, "So train on the source alone, and measure that on a few labelled targets."]
    how = "You say that" if known else f"By a linear model of the source (a guess, shift {shift:.2f})"
    if shift < UNLIKE:
        without, best = (measured("digits_adaptation", "usps->mnist", name) for name in ("source only", "MCC"))
        return "mcc", [
            *reasons,
            f"{how} the classes are about equally frequent in both. MCC then was the best on digits of paper "
            f"({best}, without adaptation {without}). It has nothing to choose.",
        ]
    lacking = [measured("where_adaptation_hurts", "missing", name) for name in ("source only", "MCC", "AFN")]
    return "afn", [
        *reasons,
        f"{how} the classes are not equally frequent in both. Methods that align the domains then put wrong classes "
        f"together: with classes missing in the target MCC had {lacking[1]} where no adaptation had {lacking[0]}, and "
        f"AFN, which aligns nothing, {lacking[2]}.",
    ]

"""What shall I do? From some data to a method, with the reasons."""

import dataclasses

from tf_transfer import _checks
from tf_transfer.analysis import rank_backbones
from tf_transfer.choosing import domains, rules
from tf_transfer.choosing.budget import Budget
from tf_transfer.choosing.builders import as_ranked, image_builder, named_backbones, other_builder, starts_at_random
from tf_transfer.choosing.configs import adapt_config, adapting_builder, train_config
from tf_transfer.choosing.costs import within_minutes
from tf_transfer.choosing.examples import read_examples
from tf_transfer.choosing.methods import METHODS, make_candidate, phases_for
from tf_transfer.choosing.recommendation import Recommendation
from tf_transfer.choosing.snippets import adapt_code, train_code, two_stage_code


def recommend(
    data,
    source=None,
    budget=None,
    *,
    backbones=None,
    weights="imagenet",
    image_size=None,
    proportions=None,
    batch_size=32,
    cache=True,
    seed=0,
    verbose=1,
    **fields,
):
    """Says what to do with some data: which method, from which backbone, with which settings, and why.

    Nothing is trained. What decides is how many labels a class has, whether a pretrained network is at hand, how far a
    source lies from its target, and the budget; the reasons name what this project measured. A recommendation is where
    to begin: `tft.auto` tries what is likely, and compares.

    Args:
        data: Labelled examples: a folder of images (a path or a `tft.data.ImageFolder`), an `AudioFolder`, a
            `LabelledText`, a `Table` of `tft.data.read_table`, arrays `(x, y)` of images, of texts or of a dict of
            columns, or a finite `tf.data.Dataset` of images with labels. With a `source`, the target: likewise, or
            without labels as a path of images, a `tft.data.UnlabeledImages` or an array of images.
        source: Labelled examples of a related task or another domain, of the same kind. Defaults to None.
        budget: `tft.choosing.Budget`, or a dict of `minutes` (of training), `max_parameters` and `max_milliseconds` an
            image (of the backbone). Defaults to None: any.
        backbones: For images, as in `tft.rank_backbones`; of several the first in its ranking is taken that is within
            the budget. Defaults to None, "mobilenet_v2" alone.
        weights: As in `tft.load_backbone`, of backbones given by name. Defaults to "imagenet".
        image_size: Integer or pair (height, width), pixels. Defaults to that of images in arrays, else to what a
            backbone was trained at.
        proportions: "alike" or "different": whether the classes are equally frequent in source and target. Defaults to
            None: guessed.
        batch_size: Integer. Defaults to 32.
        cache: Where features are kept, as in `tft.rank_backbones`. Defaults to True.
        seed: Integer. Defaults to 0.
        verbose: 0 or 1, whether to show progress and print the recommendation. Defaults to 1.
        **fields: Further fields of the builder: of `tft.ImageClassifier`, `TextClassifier`, `TabularClassifier` or
            `AudioClassifier`, such as `augmentation="no_flip"` or `backbone="hub:..."` for texts.

    Returns:
        A `tft.choosing.Recommendation`.

    Raises:
        ValueError: For data or options that can't be, or a budget that no backbone fits.
        TypeError: For data of another kind.
        OSError: For a folder that can't be read, or weights that can't be had.

    Example:

    >>> x, y = np.random.default_rng(0).uniform(0, 255, (24, 32, 32, 3)).astype("float32"), np.arange(24) % 2
    >>> small = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3)], name="small")
    >>> found = tft.recommend((x, y), backbones={"small": small}, cache=False, verbose=0)
    >>> found.method, found.builder.regularizer
    ('l2_sp', L2SP(alpha=0.1, beta=0.01, source=None, head='zero'))
    >>> print(found.reasons[0])
    There are 24 labelled images of 2 classes, 12 each.
    """
    budget = Budget.of(budget)
    if proportions is not None:
        _checks.one_of(proportions, "proportions", ["alike", "different"])
    _checks.integer(batch_size, "batch_size", 1)
    known, related, target = _read(data, source)
    budget.check_kind(known.kind)
    builder, row, ranking = _start(
        known, backbones, fields, budget, weights=weights, image_size=image_size,
        options={"batch_size": batch_size, "cache": cache, "seed": seed, "verbose": verbose},
    )  # fmt: skip
    speed = None if row is None else row.examples_per_second
    if target is not None:
        gap, shift = domains.measure(known, target, builder, batch_size=batch_size, seed=seed)
        shift = {"alike": 0.0, "different": 1.0}.get(proportions, shift)
        found = _for_target(known, data, builder, gap, shift, proportions is not None)
        if found is None:
            reasons = rules.adaptation_for(gap, shift, True)[1]
            found = _for_labels(known, builder, speed, budget)
            code = found.code.replace("(model, data,", "(model, source,")
            reasons = (*reasons, *found.reasons)
            found = dataclasses.replace(found, method="source_only", reasons=reasons, code=code, gap=gap)
    elif related is not None and known.per_class <= rules.SOME:
        found = _for_two(known, related, builder)
    else:
        found = _for_labels(known, builder, speed, budget)
    first = () if ranking is None else _on_backbones(ranking, row, budget)
    found = dataclasses.replace(found, reasons=(rules.described(known), *first, *found.reasons), ranking=ranking)
    if verbose:
        print(found)
    return found


def _read(data, source):
    """Returns labelled examples, those of a related set beside them or None, and a target without labels or None."""
    if source is None:
        return read_examples(data), None, None
    related = read_examples(source, "source")
    target = domains.without_labels(data, related.class_names)
    if target is None:
        known = read_examples(data)
        if related.kind != known.kind:
            raise ValueError(f"`source` must be of the same kind as `data`. Received: {related.kind} and {known.kind}.")
        return known, related, None
    if related.kind != "images":
        raise ValueError(
            f"A target without labels must be images. Received: {related.kind} as the source. For others give the "
            "parts of a model to a method of `tft.adaptation`, as docs/adaptation.md shows."
        )
    return related, None, target


def _start(known, backbones, fields, budget, *, weights, image_size, options):
    """Returns the builder to start from, and for images its row in the ranking of all, and that ranking."""
    if known.kind != "images":
        if backbones is not None:
            raise ValueError(
                f"`backbones` are ranked of images, and the data are {known.kind}: say `backbone=` instead, of a table "
                "`hidden_units=`. `tft.auto` compares several."
            )
        return other_builder(known, fields), None, None
    backbones = ("mobilenet_v2",) if backbones is None else backbones
    named = named_backbones(backbones)
    builders = {name: image_builder(each, known, weights, image_size, fields) for name, each in named.items()}
    # Of one there is nothing to choose, but its cost counts.
    options = {**options, "verbose": options["verbose"] if len(builders) > 1 else 0}
    ranking = rank_backbones({name: as_ranked(each) for name, each in builders.items()}, known.data, **options)
    row = budget.affordable(ranking.rows)[0]
    return builders[row.name], row, ranking


def _for_labels(known, builder, speed, budget):
    at_random = starts_at_random(builder)
    method, reasons = rules.method_for(known, at_random)
    phases, seconds = phases_for(method, len(known.labels)), None
    if speed is not None:
        method, phases, seconds, cut = within_minutes(method, phases, len(known.labels), speed, budget.minutes)
        reasons += cut
    candidate = make_candidate(method, builder, "", len(known.labels))
    if not rules.is_balanced(known):
        reasons.append(
            f"Classes are far from equally frequent ({known.counts.min()} to {known.counts.max()}): "
            'class_weight="balanced" lets rare ones count as much, and macro-F1 says more than accuracy.'
        )
    balanced = rules.is_balanced(known)
    return Recommendation(
        method,
        METHODS[method].title,
        tuple(reasons),
        candidate.builder,
        train_config(known, candidate.builder, phases, balanced) if method != "prototypes" else None,
        train_code(method, phases, known, balanced),
        seconds,
    )


def _for_two(known, related, builder):
    """Returns what to do with a few labels of a target and more of a related set."""
    builder = builder if starts_at_random(builder) else dataclasses.replace(builder, trainable=True)
    reasons = [
        f"The source has {len(related.labels):,} labelled {related.kind}, the target {known.per_class} a class: a "
        "model that first learns the source, and goes on from there with a new head, knows more than the target "
        "can teach.",
        "The head learns at ten times the rate of the backbone, which is to be nudged. Compare it with the target "
        "alone.",
    ]
    return Recommendation(
        "two_stage", "two stages, the source first", tuple(reasons), builder, None, two_stage_code(known, related)
    )


def _for_target(known, target, builder, gap, shift, said):
    """Returns what to do with a target without labels, or None where the source alone is to be tried first."""
    method, reasons = rules.adaptation_for(gap, shift, said)
    if method == "source_only":
        return None
    builder = adapting_builder(builder, method)
    config = adapt_config(known, target, builder)
    title = f"adaptation with {method.upper()}"
    return Recommendation(method, title, tuple(reasons), builder, config, adapt_code(config), gap=gap)


def _on_backbones(ranking, row, budget):
    """Returns sentences about the backbone that was taken."""
    milliseconds = 1000 / row.examples_per_second
    cost = f"{row.num_parameters:,} weights, {milliseconds:.2g} ms an image here"
    if len(ranking.rows) == 1:
        return (f"The backbone is {row.name}: {cost}. With several `backbones` they are ranked first.",)
    refused = [budget.refusal(each) for each in ranking.rows if budget.refusal(each)]
    said = f"Of {len(ranking.rows)} backbones {row.name} fits the classes best by {' and '.join(row.scores)}: {cost}."
    return (said, *(f"Over the budget: {each}." for each in refused))

"""Try what is likely: a shortlist, cross-validated by successive halving within a time, and the best trained on all."""

import tempfile
import time

from tf_transfer import _checks
from tf_transfer._logging import without_retracing_warnings
from tf_transfer.analysis import rank_backbones
from tf_transfer.caching import FeatureCache
from tf_transfer.choosing import rules
from tf_transfer.choosing.auto_result import AutoResult
from tf_transfer.choosing.baselines import baselines, plain_data
from tf_transfer.choosing.budget import Budget
from tf_transfer.choosing.builders import as_ranked, image_builder, named_backbones, starts_at_random
from tf_transfer.choosing.configs import train_config
from tf_transfer.choosing.costs import Forecast
from tf_transfer.choosing.examples import read_examples
from tf_transfer.choosing.methods import METHODS, make_candidate
from tf_transfer.choosing.search import Search
from tf_transfer.choosing.shortlists import shortlist
from tf_transfer.choosing.trainer import Trainer
from tf_transfer.choosing.trials import Book, fingerprint
from tf_transfer.workflow.rank import SHORTLIST

_METRICS = ("accuracy", "macro_f1", "log_loss")
_MOST_BACKBONES = 3


def auto(
    data,
    minutes=20,
    *,
    backbones=None,
    builders=None,
    methods=None,
    weights="imagenet",
    image_size=None,
    budget=None,
    num_folds=3,
    metric="accuracy",
    batch_size=32,
    cache=True,
    seed=0,
    resume=None,
    clock=time.perf_counter,
    verbose=1,
    **fields,
):
    """Tries the backbones and methods that are likely to do well, and returns the best, trained on all examples.

    Backbones are ranked by their frozen features, and the first three go on. Then successive halving: every one of them
    is scored frozen; on the better half of these the backbone trains for a third of its epochs, or for all of them
    where a third is fewer than 100 steps; the better half of those trains in full; and the first two are scored on
    further divisions of the data while there is time. All scores are cross-validated, on the same parts and with the
    same seeds. What there is no time for is left out and said; the first candidate is always finished, so that there is
    a model at the end.

    Models of scikit-learn learn texts and tables as well, on the same parts, and stand beside the candidates: with few
    labels and nothing pretrained, counted words or trees are often as good as a network, and a search should say so.

    The score of the best is that of the one that was chosen by it, and therefore somewhat too good. The result says how
    far it is ahead of the runner-up, and whether chance would do as much.

    Args:
        data: Labelled examples, as `tft.recommend` takes them: images, texts, rows of a table or recordings. Streams
            can't be divided.
        minutes: Float above 0, the time for all of it, the ranking and the last training included. A part of one
            training may pass it. Defaults to 20.
        backbones: For images, as in `tft.rank_backbones`; for texts and recordings names, models from what their
            builders take, or dicts of a "name" and options, all of which are tried. Defaults to None: of images six of
            `keras.applications`, small to large; else what starts at random, of texts the three architectures of
            `tft.TextEncoder`, of recordings "small_conv" in three widths, of a table `hidden_units` in three sizes.
        builders: Dict of names to builders, in the place of `backbones`, for heads and augmentations of your own. Those
            of texts and tables should be adapted to the data. Defaults to None.
        methods: Sequence of names out of "prototypes", "feature_extraction", "l2_sp", "fine_tuning" and "from_scratch".
            Defaults to None: what suits the number of labels a class.
        weights: As in `tft.load_backbone`, of backbones given by name. Defaults to "imagenet".
        image_size: Integer or pair (height, width), pixels. Defaults to that of images in arrays, else to what each
            backbone was trained at.
        budget: `tft.choosing.Budget` or a dict of `max_parameters` and `max_milliseconds`, which bound the backbones
            of images. Defaults to None: any.
        num_folds: Integer of at least 2, the parts of the data; fewer where the smallest class has fewer examples.
            Defaults to 3.
        metric: "accuracy", "macro_f1" or "log_loss". Equal scores are told apart by the log loss. Defaults to
            "accuracy".
        batch_size: Integer. Defaults to 32.
        cache: True (features are kept in the user's cache folder), a folder, a `tft.FeatureCache`, or False for a
            folder that goes at the end. Defaults to True.
        seed: Integer. Defaults to 0.
        resume: Path of a folder that keeps the scores: the same call goes on from there when it was stopped, with the
            time that was left, and the folder goes at the end. Defaults to None.
        clock: Function that returns seconds. `time.process_time` counts what this process computes, on a machine that
            others use as well. Defaults to `time.perf_counter`: what passes.
        verbose: 0, 1 (what is tried is shown, and the table at the end) or 2 (without the table). Defaults to 1.
        **fields: Further fields of the builder, `tft.ImageClassifier` or that of the kind, such as
            `augmentation="no_flip"`. One that says the network (`backbone`, of tables `hidden_units`) makes it the only
            one.

    Returns:
        A `tft.choosing.AutoResult`.

    Raises:
        ValueError: Before any training, for data or options that can't be, or a class with a single example.
        TypeError: For data of another kind.
        OSError: For a folder that can't be read, or weights that can't be had.

    Example:

    >>> x, y = np.random.default_rng(0).uniform(0, 155, (24, 16, 16, 3)).astype("float32"), np.arange(24) % 2
    >>> x[y == 1, :, :, 0] += 99.0
    >>> color = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(8, 3)], name="color")
    >>> found = tft.auto((x, y), minutes=0.02, backbones=[color], methods=["prototypes"], cache=False, verbose=0)
    >>> found.best.name, len(found.best.scores) >= 3
    ('color, prototypes of the classes', True)

    Reference:
        Jamieson and Talwalkar, 2016 (successive halving), https://arxiv.org/abs/1502.07943; Cawley and Talbot, 2010, on
        scores that something was chosen by, https://jmlr.org/papers/v11/cawley10a.html
    """
    start = clock()
    _checks.one_of(verbose, "verbose", [0, 1, 2])
    minutes, budget = _checks.positive(minutes, "minutes"), Budget.of(budget)
    for name, value, least in (("num_folds", num_folds, 2), ("batch_size", batch_size, 1), ("seed", seed, 0)):
        _checks.integer(value, name, least)
    _checks.one_of(metric, "metric", _METRICS)
    for name in methods or ():
        _checks.one_of(name, "methods", list(METHODS))
    examples = _divisible(data)
    budget.check_kind(examples.kind)
    num_folds = min(num_folds, int(examples.counts.min()))
    say = _sayer(verbose, clock, start)
    with tempfile.TemporaryDirectory() as folder, without_retracing_warnings():
        cache = FeatureCache.of(cache) or FeatureCache(folder)
        options = {"batch_size": batch_size, "cache": cache, "seed": seed, "verbose": int(verbose == 1)}
        known, why, ranking = _known(examples, backbones, builders, budget, weights, image_size, fields, options)
        reasons = (rules.described(examples), why)
        say(" ".join(reasons))
        candidates = [
            make_candidate(method, builder, name, len(examples.labels), batch_size)
            for name, builder in known.items()
            for method in methods or rules.likely_methods(examples, starts_at_random(builder))
        ]
        settings = {"labels": fingerprint(examples.labels), "num_folds": num_folds, "metric": metric, "seed": seed}
        book = Book(resume, {**settings, "candidates": [each.name for each in candidates]})
        shared = {"num_folds": num_folds, "metric": metric}
        trainer = Trainer(examples, candidates, **shared, cache=cache, batch_size=batch_size, seed=seed)
        speeds = {} if ranking is None else {row.name: row.examples_per_second for row in ranking.rows}
        forecast = Forecast(len(examples.labels), num_folds, speeds)
        plain = _without_networks(examples, trainer, num_folds, metric, seed, say)
        left = 60 * minutes - (clock() - start)
        search = Search(candidates, trainer, forecast, book, seconds=left, **shared, say=say, clock=clock)
        search.run()
        chosen = search.candidate(search.ranked()[0])
        say(f"best: {chosen.name}; now on all {len(examples.labels)} examples")
        model, history = trainer.train(chosen)
    book.close()
    if examples.class_names is not None:
        model.class_names = list(examples.class_names)
    result = AutoResult(
        model=model,
        builder=chosen.builder,
        trials=tuple(search.trials.values()),
        ranked=tuple(search.ranked()),
        config=_config(examples, chosen, {"batch_size": batch_size, "seed": seed}),
        metric=metric,
        num_folds=num_folds,
        minutes=minutes,
        seconds=clock() - start,
        class_names=examples.class_names,
        ranking=ranking,
        history=history,
        reasons=reasons,
        baselines=plain,
    )
    if verbose == 1:
        from rich import print as rich_print

        rich_print(result.table())
    return result


def _divisible(data):
    """Returns the `Examples` that an argument stands for, where they can be divided into parts."""
    if hasattr(data, "element_spec"):
        raise ValueError(
            "`data` is a stream, which can't be divided into parts. Give a folder or arrays: "
            "`np.concatenate([x for x, _ in dataset])`. `tft.recommend` takes streams."
        )
    examples = read_examples(data)
    if examples.counts.min() < 2:
        raise ValueError(
            f"Each class needs two examples or more, one to train on and one to score. Received: "
            f"{examples.counts.min()} of the smallest. `tft.recommend` says what to do with one."
        )
    return examples


def _known(examples, backbones, builders, budget, weights, image_size, fields, options):
    """Returns a dict of names to the builders to try, a sentence on why these, and the ranking they are of or None."""
    if builders is not None:
        if not isinstance(builders, dict) or not builders:
            raise ValueError(f"`builders` must be a dict of names to builders. Received: {builders!r}.")
        return {str(name): each for name, each in builders.items()}, "The builders are those that were given.", None
    if examples.kind != "images":
        if image_size is not None:
            raise ValueError(f"`image_size` is of images, and the data are {examples.kind}: leave it out.")
        return *shortlist(examples, backbones, weights, fields), None
    named = named_backbones(SHORTLIST if backbones is None else backbones)
    made = {name: image_builder(each, examples, weights, image_size, fields) for name, each in named.items()}
    ranking = rank_backbones({name: as_ranked(each) for name, each in made.items()}, examples.data, **options)
    first = [row.name for row in budget.affordable(ranking.rows)[:_MOST_BACKBONES]]
    why = f"Of {len(made)} backbones {', '.join(first)} go on." if len(made) > 1 else f"The backbone is {first[0]}."
    return {name: made[name] for name in first}, why, ranking


def _without_networks(examples, trainer, num_folds, metric, seed, say):
    """Returns the `Trial`s of what needs no network, on the parts that all candidates are scored on."""
    found = []
    for each in baselines(examples, seed):
        parts = [trainer.part(plain_data(examples), part)[0] for part in range(num_folds)]
        try:
            found.append(each.trial(parts, metric))
        except ValueError as error:
            # Such as texts of no word at all.
            say(f"  {each.name}: left out. {error}")
            continue
        say(f"  {each.name}, without a network: {metric} {found[-1].score:.3f}")
    return tuple(found)


def _config(examples, chosen, settings):
    if chosen.method == "prototypes":
        return None
    # A training chooses the best epoch by its validation examples, and here nothing was held out.
    return train_config(examples, chosen.builder, chosen.phases, restore_best_weights=False, **settings)


def _sayer(verbose, clock, start):
    def say(text):
        if verbose:
            print(f"{clock() - start:6.0f} s  {text}", flush=True)

    return say

"""Which backbone to start from, before anything is trained."""

import gc

import keras
import numpy as np
import tensorflow as tf

from tf_transfer import _checks
from tf_transfer.analysis.backbone_ranking import RankedBackbone, ranked
from tf_transfer.analysis.comparison import as_taken
from tf_transfer.analysis.linear_probe import features_and_labels
from tf_transfer.analysis.model_cost import machine, median_seconds, num_flops
from tf_transfer.analysis.source_label_scores import nleep
from tf_transfer.analysis.transferability import h_score, log_me, trans_rate
from tf_transfer.backbones import load_backbone
from tf_transfer.backbones.loading import check_name
from tf_transfer.caching import FeatureCache
from tf_transfer.data import ImageFolder, as_dataset, hold_out

SCORES = {"h_score": h_score, "log_me": log_me, "nleep": nleep, "trans_rate": trans_rate}


def rank_backbones(
    backbones,
    data,
    *,
    scores=("h_score", "log_me", "nleep"),
    weights="imagenet",
    input_shape=None,
    max_examples=2000,
    batch_size=32,
    cache=True,
    seed=0,
    verbose=1,
):
    """Ranks backbones for a task by how well their frozen features fit its labels, and says what each costs.

    Each backbone sees each example once; nothing is trained. The scores judge features as they are, so they are a
    shortlist and not a verdict: an encoder that is to be fine-tuned whole on many labels may come out otherwise.

    Args:
        backbones: Sequence of names as `tft.load_backbone` takes them, or a dict from names of your own to such names,
            to dicts of arguments of `tft.load_backbone`, such as `{"name": "mobilenet_v2", "alpha": 0.35}`, or to
            built `keras.Model`s from inputs to features.
        data: Labelled examples: an `ImageFolder`, arrays `(x, y)` or a `tf.data.Dataset`. Images get the size that
            each backbone takes.
        scores: Names out of "h_score", "log_me", "nleep" and "trans_rate", the functions of `tft.analysis`; or a dict
            of names to functions of features and labels. Defaults to the first three, whose places together agreed
            best with accuracy after fine-tuning (docs/choosing.md).
        weights: As in `tft.load_backbone`, of those given by their name. Defaults to "imagenet".
        input_shape: As in `tft.load_backbone`, of those given by their name. Defaults to that of each.
        max_examples: Integer, or None for all; of more, so many are drawn, class by class. A stream is read from its
            start. Defaults to 2000.
        batch_size: Integer, examples that go through a backbone at once. Defaults to 32.
        cache: True (features are kept in the user's cache folder), False, a folder, or a `tft.FeatureCache`. Defaults
            to True.
        seed: Integer, of that draw. Defaults to 0.
        verbose: 0 or 1, whether to show progress and the table. Defaults to 1.

    Returns:
        A `tft.analysis.BackboneRanking` with one `RankedBackbone` a backbone, sorted by the mean place over the scores.

    Raises:
        ValueError: For a name that is not known, before any backbone is loaded, or data that have no classes.
        OSError: When weights can be neither found nor downloaded.

    Example:

    >>> x, y = np.random.default_rng(0).uniform(0, 255, (30, 32, 32, 3)).astype("float32"), np.arange(30) % 3
    >>> x[y == 0, :16] += 99.0
    >>> x[y == 1, 16:] += 99.0
    >>> blind = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.GlobalAveragePooling2D()])
    >>> seeing = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.AveragePooling2D(16), keras.layers.Flatten()])
    >>> ranking = tft.rank_backbones({"blind": blind, "seeing": seeing}, (x, y), cache=False, verbose=0)
    >>> ranking.best, ranking.rows[0].num_features
    ('seeing', 12)

    Reference:
        Agostinelli et al., 2022, on how far such rankings hold, https://arxiv.org/abs/2204.01403
    """
    candidates, functions = check_candidates(backbones, scores, weights=weights, input_shape=input_shape)
    cache = FeatureCache.of(cache)
    data = _sample(data, max_examples, batch_size, seed)
    rows, show = [], keras.utils.Progbar(len(candidates), verbose=verbose, unit_name="backbone")
    for name, load in candidates.items():
        encoder = load()
        fitted = as_taken(data, encoder, batch_size)
        features, labels = features_and_labels(encoder, fitted, batch_size, cache)
        found = {each: float(function(features, labels)) for each, function in functions.items()}
        rows.append(_row(name, encoder, fitted, features.shape[1], found, batch_size))
        show.add(1)
        # The graphs of large networks hold on to one another.
        del encoder, fitted
        gc.collect()
    ranking = ranked(rows, len(labels), machine())
    if verbose:
        from rich import print as rich_print

        rich_print(ranking.table())
    return ranking


def check_candidates(backbones, scores, *, weights, input_shape):
    """Returns dicts of names to functions that load a backbone, and of names to scores, checked without loading."""
    return _candidates(backbones, weights, input_shape), _functions(scores)


def _candidates(backbones, weights, input_shape):
    if isinstance(backbones, str) or not backbones:
        raise ValueError(f"`backbones` must name one backbone or more. Received: backbones={backbones!r}.")
    named = backbones if isinstance(backbones, dict) else {name: name for name in backbones}
    return {str(name): _loader(name, each, weights, input_shape) for name, each in named.items()}


def _loader(name, given, weights, input_shape):
    if isinstance(given, keras.Model):
        if len(getattr(given, "outputs", None) or ()) != 1:
            raise ValueError(f"`backbones` {name!r} must be a built model with one output. Received: {given!r}.")
        return lambda: given
    options = {"weights": weights, "input_shape": input_shape}
    if isinstance(given, str):
        options["name"] = given
    elif isinstance(given, dict) and "name" in given:
        options |= given
    else:
        raise ValueError(
            f'`backbones` {name!r} must be a name, a dict of arguments of `tft.load_backbone` with its "name", or a '
            f"keras.Model. Received: {given!r}."
        )
    check_name(options["name"])
    return lambda: load_backbone(**options)


def _functions(scores):
    if isinstance(scores, dict):
        return scores
    names = [scores] if isinstance(scores, str) else list(scores)
    if not names:
        raise ValueError(f"`scores` must name one score or more of {sorted(SCORES)}. Received: none.")
    return {name: SCORES[_checks.one_of(name, "scores", sorted(SCORES))] for name in names}


def _sample(data, max_examples, batch_size, seed):
    """Returns at most so many examples, each class by its share."""
    if max_examples is None:
        return data
    _checks.integer(max_examples, "max_examples", 2)
    if isinstance(data, tf.data.Dataset):
        return as_dataset(data).unbatch().take(max_examples).batch(batch_size)
    num = len(data) if isinstance(data, ImageFolder) else len(data[1])
    return data if num <= max_examples else hold_out(data, max_examples / num, seed)[1]


def _row(name, encoder, data, num_features, scores, batch_size):
    x = next(iter(as_dataset(data, batch_size=batch_size)))[0]
    seconds = median_seconds({name: encoder}, {name: x}, seconds=0.5, most=30)[name]
    count, num_parameters = int(np.shape(keras.tree.flatten(x)[0])[0]), encoder.count_params()
    return RankedBackbone(name, float("nan"), scores, num_features, num_parameters, num_flops(encoder), count / seconds)

"""What each public object of `tft.few_shot` holds beyond its docstring."""

import functools

import keras
import numpy as np

import tf_transfer as tft

from contract_parts import check_config, check_refuses, check_saves
from contract_registry import row

X, Y = np.random.default_rng(0).normal(size=(24, 4)).astype("float32"), np.arange(24) // 4


def encoder():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])


def stream():
    return tft.data.episodes(X, Y, 3, 1, 2, num_episodes=4, batch_size=2, seed=0, fixed=True)


def fits_and_saves(made):
    """Trains a compiled method, and its file after that; returns the inputs of a batch."""
    assert np.isfinite(made.fit(stream(), validation_data=stream(), verbose=0).history["val_loss"][0])
    inputs = {name: np.asarray(part) for name, part in next(iter(stream()))[0].items()}
    again = check_saves(made, inputs)
    assert int(again.optimizer.iterations) == 2
    again.fit(stream(), verbose=0)
    return inputs


@row("few_shot.PrototypicalNetwork")
def _(prototypical_network):
    check_config(functools.partial(prototypical_network, encoder(), distance="cosine", transductive=True))
    made = prototypical_network(encoder(), distance="cosine")
    made.compile("adam")
    fits_and_saves(made)
    check_refuses(lambda: prototypical_network(encoder(), distance="manhattan"), "`distance`")
    check_refuses(lambda: made(X), "'support_labels'", "Received: ")
    check_refuses(lambda: made.adapt(X[:4], np.array([0, 0, 2, 2])), "each with an example")


@row("few_shot.MAML")
def _(maml):
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, activation="relu"), keras.layers.Dense(3)])
    check_config(functools.partial(maml, network, 0.1, 2, evaluation_steps=3, learned_rates=True, adapts="head"))
    made = maml(network, 0.1, 2, learned_rates=True)
    made.compile("adam")
    inputs = fits_and_saves(made)
    softmax = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    logits = maml(softmax, 0.1, evaluation_steps=0)(inputs)
    assert not np.allclose(np.sum(logits, -1), 1.0)
    check_refuses(lambda: maml(network, inner_learning_rate=0.0), "`inner_learning_rate`")
    check_refuses(lambda: maml(network, adapts="heads"), "`adapts`", "'head'")
    check_refuses(lambda: made(X), "'support_labels'")
    check_refuses(lambda: maml(keras.Sequential([keras.Input((4,)), keras.layers.ReLU()])), "no trainable weights")


@row("few_shot.Reptile")
def _(reptile):
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    options = {"inner_batch_size": 2, "evaluation_steps": 2, "seed": 1}
    check_config(functools.partial(reptile, network, 0.1, 2, step_size=tft.schedules.linear(1.0, 0.0), **options))
    made = reptile(network, 0.1, 2, **options)
    made.compile()
    fits_and_saves(made)
    check_refuses(lambda: reptile(network, inner_optimizer="adamw"), "`inner_optimizer`")
    check_refuses(lambda: reptile(network, inner_batch_size=0), "`inner_batch_size`")
    check_refuses(lambda: reptile(keras.Sequential([keras.Input((4,)), keras.layers.ReLU()])), "no trainable weights")


@row("few_shot.EpisodeEvaluation")
def _(episode_evaluation):
    check_refuses(lambda: episode_evaluation(np.ones((2, 2))), "`accuracies`")


@row("few_shot.evaluate_episodes")
def _(evaluate_episodes):
    made = tft.few_shot.PrototypicalNetwork(encoder())
    check_refuses(lambda: evaluate_episodes(made, stream(), 5), "ended after 4 episodes")

"""How the methods of `omniglot.py` are trained: networks, episodes, rates, lengths."""

import dataclasses
import functools

import keras

import tf_transfer as tft
from tf_transfer.backbones import reinitialize


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One training.

    Args:
        name: String.
        method: String, of the rows.
        rows: Tuple of (ways, shots) that are asked for.
        asked: Pair (ways, shots) of the learning curve.
        episodes: Dict, arguments of `tft.data.episodes`.
        make: Function `(network, seed) -> model` of an uncompiled method.
        network: Function of a dtype policy.
        rate: Float, of Adam at the beginning, which goes down to zero on a straight line; or None for the method's own
            optimizer.
        steps: Integer, training steps of an epoch.
        epochs: Integer.
        dtype: String, the dtype policy of the network in training; it is asked in float32.
        tests: Integer, episodes that are asked about.
        moved: Boolean, whether each image of the training is moved, scaled, turned and sheared a little at random.
    """

    name: str
    method: str
    rows: tuple
    asked: tuple
    episodes: dict
    make: callable
    network: callable
    rate: float | None
    steps: int
    epochs: int
    dtype: str = "float32"
    tests: int = 600
    moved: bool = False

    def build(self, seed, iterations, dtype):
        model = self.make(reinitialize(self.network(dtype), seed))
        if self.rate is None:
            model.compile(steps_per_execution=10)
        else:
            rate = keras.optimizers.schedules.PolynomialDecay(self.rate, iterations, 0.0)
            model.compile(keras.optimizers.Adam(rate), steps_per_execution=10)
        return model


def pooled(dtype):
    """Returns the four convolutions of the papers with pooling, the first with a stride instead of it."""
    layers = [keras.Input((28, 28, 1)), keras.layers.Rescaling(1 / 255, dtype=dtype)]
    for number in range(4):
        layers += _block(2 if number == 0 else 1, dtype)
        layers += [keras.layers.MaxPooling2D(padding="same", dtype=dtype)] if number else []
    return keras.Sequential([*layers, keras.layers.Flatten(dtype=dtype)])


def strided(dtype):
    """Returns the four convolutions with strides of Finn et al., and a dense layer of five classes."""
    layers = [keras.Input((28, 28, 1)), keras.layers.Rescaling(1 / 255, dtype=dtype)]
    layers += [layer for _ in range(4) for layer in _block(2, dtype)]
    return keras.Sequential([*layers, keras.layers.Flatten(dtype=dtype), keras.layers.Dense(5, dtype=dtype)])


def _block(strides, dtype):
    return [
        keras.layers.Conv2D(64, 3, strides, padding="same", use_bias=False, dtype=dtype),
        keras.layers.BatchNormalization(momentum=0.9, dtype=dtype),
        keras.layers.ReLU(dtype=dtype),
    ]


def small_moves():
    """Returns layers that change a character as another hand might: its corners go elsewhere."""
    # One layer, since each of Keras' layers blurs once more.
    return [keras.layers.RandomPerspective((1.0, 1.0), scale=0.3, fill_value=0.0)]


def prototypes(network):
    return tft.few_shot.PrototypicalNetwork(network)


def maml(network, **options):
    return tft.few_shot.MAML(network, inner_learning_rate=0.4, inner_steps=1, evaluation_steps=3, **options)


def reptile(network):
    """Returns Reptile with the steps of the paper at a higher rate, but fewer when it is asked, which cost the most."""
    step_size = tft.schedules.linear(1.0, 0.0)
    return tft.few_shot.Reptile(network, 0.005, evaluation_steps=25, step_size=step_size, seed=0)


MAML_ONE_SHOT = Recipe(
    name="MAML 5-way 1-shot",
    method="MAML",
    rows=((5, 1),),
    asked=(5, 1),
    episodes={"ways": 5, "shots": 1, "queries": 3, "batch_size": 16},
    make=maml,
    network=strided,
    rate=3e-3,
    steps=200,
    epochs=80,
)

MAML_FIVE_SHOT = dataclasses.replace(
    MAML_ONE_SHOT,
    name="MAML 5-way 5-shot",
    rows=((5, 5),),
    asked=(5, 5),
    episodes={"ways": 5, "shots": 5, "queries": 3, "batch_size": 8},
    epochs=60,
)
META_SGD = {"method": "Meta-SGD", "make": functools.partial(maml, learned_rates=True), "moved": True}

RECIPES = (
    Recipe(
        name="prototypical networks",
        method="prototypical networks",
        rows=((5, 1), (5, 5), (20, 1), (20, 5)),
        asked=(20, 1),
        # As in the paper: more ways than will be asked about, one shot for all.
        episodes={"ways": 60, "shots": 1, "queries": 5},
        make=prototypes,
        network=pooled,
        rate=3e-3,
        steps=200,
        epochs=60,
        dtype="mixed_bfloat16",
    ),
    MAML_ONE_SHOT,
    MAML_FIVE_SHOT,
    dataclasses.replace(MAML_ONE_SHOT, name="Meta-SGD 5-way 1-shot", epochs=120, **META_SGD),
    dataclasses.replace(MAML_FIVE_SHOT, name="Meta-SGD 5-way 5-shot", epochs=70, **META_SGD),
    Recipe(
        name="Reptile 5-way",
        method="Reptile",
        rows=((5, 1), (5, 5)),
        asked=(5, 1),
        episodes={"ways": 5, "shots": 10, "queries": 1, "batch_size": 5},
        make=reptile,
        network=strided,
        rate=None,
        steps=200,
        epochs=60,
        tests=300,
        moved=True,
    ),
)

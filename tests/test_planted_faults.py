"""The contracts turn red: each test hands a check an object with one fault and expects it to be named."""

import dataclasses
import functools
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml

import contract_parts as parts
import contracts

X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")


def register(cls):
    return keras.saving.register_keras_serializable(package="tf_transfer")(cls)


class Scale(keras.layers.Layer):
    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=input_shape[-1:], initializer="ones", name="kernel")
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")

    def call(self, inputs):
        return inputs * self.kernel * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@register
class GoodScale(Scale):
    pass


@register
class ForgetsAnArgument(Scale):
    def get_config(self):
        return keras.layers.Layer.get_config(self)


@register
class TellsTheDefault(Scale):
    def get_config(self):
        return {**super().get_config(), "factor": 1.0}


@register
class KeepsWhatJsonCannotHold(Scale):
    def get_config(self):
        return {**super().get_config(), "factor": object()}


@register
class MovesAFrozenWeight(Scale):
    def call(self, inputs, training=False):
        if training:
            self.calls.assign_add(1.0)
        return super().call(inputs)


@register
class StopsTheGradient(Scale):
    def call(self, inputs):
        return inputs * tf.stop_gradient(self.kernel)


@register
class PromisesAnotherShape(Scale):
    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 7)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), inputs.dtype)


@register
class FixesTheBatch(Scale):
    def call(self, inputs):
        return tf.reshape(super().call(inputs), (6, 4)) if inputs.shape[0] else tf.ensure_shape(inputs, (6, 4))


@register
class LosesAWeightOnSaving(Scale):
    def save_own_variables(self, store):
        store["0"] = np.zeros(4, "float32")
        store["1"] = self.calls


@register
class LowPrecisionWeights(Scale):
    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=input_shape[-1:], initializer="ones", name="kernel", dtype=self.compute_dtype, autocast=False
        )


def test_a_sound_layer_passes():
    contracts.check_layer(functools.partial(GoodScale, factor=2.0), X)
    contracts.check_layer(functools.partial(MovesAFrozenWeight, factor=2.0), X, moves=["calls"])


@pytest.mark.parametrize(
    "layer, message",
    [
        (Scale, "not registered"),
        (ForgetsAnArgument, r"lacks the arguments \['factor'\]"),
        (TellsTheDefault, "made with 2.0"),
        (KeepsWhatJsonCannotHold, "JSON"),
        (MovesAFrozenWeight, "moves .*calls, which is not trainable"),
        (StopsTheGradient, "no gradient reaches"),
        (PromisesAnotherShape, "says .*7.* gives"),
        (FixesTheBatch, "fixes the batch size"),
        (LosesAWeightOnSaving, "Not equal"),
        (LowPrecisionWeights, "bfloat16 under"),
    ],
)
def test_a_faulty_layer_is_named(layer, message):
    with pytest.raises(AssertionError, match=message):
        contracts.check_layer(functools.partial(layer, factor=2.0), X)


@register
class Distance(keras.losses.Loss):
    def __init__(self, power=2.0, reduction="sum_over_batch_size", name="distance"):
        super().__init__(name=name, reduction=reduction)
        self.power = power

    def call(self, y_true, y_pred):
        return keras.ops.mean(keras.ops.abs(keras.ops.cast(y_true, y_pred.dtype) - y_pred) ** self.power, axis=-1)

    def get_config(self):
        return {**super().get_config(), "power": self.power}


@register
class MeansTooEarly(Distance):
    def call(self, y_true, y_pred):
        return keras.ops.mean(super().call(y_true, y_pred)) * keras.ops.ones(keras.ops.shape(y_pred)[0])


@register
class HasNoGradient(Distance):
    def call(self, y_true, y_pred):
        return super().call(y_true, keras.ops.stop_gradient(y_pred))


def test_a_sound_loss_passes():
    contracts.check_loss(functools.partial(Distance, power=1.5), X, X[::-1].copy())


@pytest.mark.parametrize("loss, message", [(MeansTooEarly, "Not equal"), (HasNoGradient, "no finite gradient")])
def test_a_faulty_loss_is_named(loss, message):
    target = X + np.arange(6, dtype="float32")[:, None]
    with pytest.raises(AssertionError, match=message):
        contracts.check_loss(loss, X, target)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """Builds a line.

    Args:
        slope_units: Integer, outputs.
        l2: Float, weight of the squared norm.
    """

    slope_units: int = 1
    l2: float = 0.0
    input_name = "x"
    dtype = "float32"

    def to_dict(self):
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields):
        if unknown := set(fields) - {field.name for field in dataclasses.fields(cls)}:
            raise ValueError(f"Line has no field {unknown}. Did you mean another one?")
        return cls(**fields)

    def to_yaml(self):
        return yaml.safe_dump(self.to_dict())

    @classmethod
    def from_yaml(cls, text):
        return cls.from_dict(yaml.safe_load(text))

    def build(self):
        x = keras.Input((4,), name=self.input_name)
        model = keras.Model(x, self.head(x))
        model.compile("sgd", "mse")
        return model

    def head(self, x):
        return keras.layers.Dense(self.slope_units, name="y", dtype=self.dtype)(x)


class OtherInputName(Line):
    input_name = "input_layer"


class HalfPrecisionOutput(Line):
    dtype = "mixed_bfloat16"


class ForeignLayer(Line):
    def head(self, x):
        return keras.layers.Dense(self.slope_units, name="y")(GoodScale()(x))


class NotCompiled(Line):
    def build(self):
        x = keras.Input((4,), name="x")
        return keras.Model(x, self.head(x))


class ForgetsAField(Line):
    def to_dict(self):
        return {"slope_units": self.slope_units}


class TakesAnyField(Line):
    @classmethod
    def from_dict(cls, fields):
        return cls(**{key: value for key, value in fields.items() if key in ("slope_units", "l2")})


class MovesStatistics(Line):
    def head(self, x):
        return keras.layers.Dense(self.slope_units, name="y")(keras.layers.BatchNormalization()(x))


@dataclasses.dataclass
class NotFrozen(Line.__base__):
    """Builds nothing."""


def test_a_sound_builder_passes():
    contracts.check_builder(Line(slope_units=2, l2=0.1), X, X[:, :2], "x", "y")


@pytest.mark.parametrize(
    "builder, message",
    [
        (OtherInputName, "not named 'x'"),
        (HalfPrecisionOutput, "bfloat16, not float32"),
        (ForeignLayer, r"\['GoodScale'\], which are not Keras' own"),
        (NotCompiled, "no compiled Keras model"),
        (ForgetsAField, "another builder"),
        (TakesAnyField, "Bad input passed"),
        (MovesStatistics, "fit moved .*moving_"),
        (lambda **_: NotFrozen(), "no frozen dataclass"),
    ],
)
def test_a_faulty_builder_is_named(builder, message):
    with pytest.raises(AssertionError, match=message):
        contracts.check_builder(builder(slope_units=2, l2=0.1), X, X[:, :2], "x", "y")


class Sound(keras.callbacks.Callback):
    pass


class CannotBeCopied(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.file = open(__file__)  # noqa: SIM115


class RunsOnce(keras.callbacks.Callback):
    started = False

    def on_train_begin(self, logs=None):
        if self.started:
            raise RuntimeError("started twice")
        self.started = True


def test_callbacks():
    contracts.check_callback(Sound, Line().build, X, X[:, :1])
    with pytest.raises(TypeError, match="pickle"):
        contracts.check_callback(CannotBeCopied, Line().build, X, X[:, :1])
    with pytest.raises(RuntimeError, match="started twice"):
        contracts.check_callback(RunsOnce, Line().build, X, X[:, :1])


@register
class Method(keras.Model):
    deploys_itself = False

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, inputs, training=False):
        return self.inner(inputs, training=training)

    def deployable(self):
        return self if self.deploys_itself else self.inner

    def get_config(self):
        return {**super().get_config(), "inner": keras.saving.serialize_keras_object(self.inner)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "inner": keras.saving.deserialize_keras_object(config["inner"])})


@register
class DeploysItself(Method):
    deploys_itself = True


@pytest.mark.parametrize("method, fault", [(Method, None), (DeploysItself, r"\['DeploysItself'\]")])
def test_methods(method, fault):
    def factory():
        made = method(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]))
        made(X)
        made.compile("adam", "mse")
        return made

    batches = tf.data.Dataset.from_tensor_slices((X, X[:, :1])).batch(3)
    if fault is None:
        contracts.check_method(factory, batches, X, X[:, :1])
    else:
        with pytest.raises(AssertionError, match=fault):
            contracts.check_method(factory, batches, X, X[:, :1])


def sound(rate, steps=1):
    """Multiplies a rate by steps.

    Args:
        rate: Float, the rate.
        steps: Integer, how many steps. Defaults to 1.

    Returns:
        Float.

    Example:

    >>> sound(2.0)
    2.0
    """
    return rate * steps


DOCSTRINGS = [
    ("    steps: Integer, how many steps. Defaults to 1.\n", "", r"\[.steps.\] are not in"),
    ("    rate: Float", "    ratio: Float, gone.\n    rate: Float", r"Args has \['ratio'\]"),
    ("Returns:\n    Float.\n", "", "no Returns"),
    (">>> sound(2.0)", ">>> sound(2.0)  # doctest: +SKIP", "no example that runs"),
    ("by steps.", "by", "no sentence"),
    (None, "", "no docstring"),
]


@pytest.mark.parametrize("old, new, message", DOCSTRINGS)
def test_a_faulty_docstring_is_named(old, new, message, monkeypatch):
    parts.check_docstring(sound)
    doc = parts.inspect.getdoc(sound)
    monkeypatch.setattr(sound, "__doc__", doc.replace(old, new) if old else new)
    with pytest.raises(AssertionError, match=message):
        parts.check_docstring(sound)


def test_a_generated_docstring_of_a_dataclass_does_not_count():
    made = dataclasses.make_dataclass("Pair", ["one"])
    with pytest.raises(AssertionError, match="Pair has no docstring"):
        parts.check_docstring(made)


def test_refusals():
    parts.check_refuses(lambda: os.listdir("no such folder"), "No such file")
    with pytest.raises(AssertionError, match="Bad input passed"):
        parts.check_refuses(lambda: 3)
    with pytest.raises(AssertionError, match="lacks"):
        parts.check_refuses(lambda: int("x"), "Did you mean")
    with pytest.raises(KeyError):
        parts.check_refuses(lambda: {}["x"])

"""Schedules: a weight or a temperature as a function of training progress, computed inside the training step."""

import keras
from keras import ops

from tf_transfer import _checks


class Schedule:
    """A number that changes with the progress of training.

    A method evaluates it in its training step, so it also moves between callbacks (`steps_per_execution`). Make one
    with `constant`, `linear`, `cosine`, `dann` or `gaussian`; for another curve subclass it, with `value` and
    `get_config`, and register the class with `keras.saving.register_keras_serializable`.

    Call arguments:
        progress: Float scalar or tensor in [0, 1], the part of the training that is done.

    Returns:
        A float32 tensor of the shape of `progress`.

    Example:

    >>> [float(tft.schedules.linear(0.0, 2.0)(progress)) for progress in (0.0, 0.5, 1.0)]
    [0.0, 1.0, 2.0]
    """

    def __call__(self, progress):
        progress = ops.clip(ops.cast(ops.convert_to_tensor(progress), "float32"), 0.0, 1.0)
        return ops.cast(self.value(progress), "float32")

    def value(self, progress):
        raise NotImplementedError(f"{type(self).__name__} must define `value(progress)`.")

    def get_config(self):
        raise NotImplementedError(f"{type(self).__name__} must define `get_config()`.")

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __eq__(self, other):
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self):
        return hash((type(self), tuple(sorted(self.get_config().items()))))

    def __repr__(self):
        fields = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({fields})"


@keras.saving.register_keras_serializable(package="tf_transfer")
class _Constant(Schedule):
    def __init__(self, constant):
        self.constant = _checks.number(constant, "constant")

    def value(self, progress):
        return ops.full_like(progress, self.constant)

    def get_config(self):
        return {"constant": self.constant}


class _Between(Schedule):
    """From `start` to `end` while progress goes from `begin` to `finish`; level before and after."""

    def __init__(self, start, end, begin, finish):
        self.start = _checks.number(start, "start")
        self.end = _checks.number(end, "end")
        self.begin = _checks.number(begin, "begin", 0.0, 1.0)
        self.finish = _checks.number(finish, "finish", 0.0, 1.0)
        if self.begin >= self.finish:
            raise ValueError(
                f"`begin` must be less than `finish`, both parts of the training from 0 to 1. "
                f"Received: begin={begin!r}, finish={finish!r}."
            )

    def value(self, progress):
        part = ops.clip((progress - self.begin) / (self.finish - self.begin), 0.0, 1.0)
        return self.start + (self.end - self.start) * self.shape(part)

    def get_config(self):
        return {"start": self.start, "end": self.end, "begin": self.begin, "finish": self.finish}


@keras.saving.register_keras_serializable(package="tf_transfer")
class _Linear(_Between):
    def shape(self, part):
        return part


@keras.saving.register_keras_serializable(package="tf_transfer")
class _Cosine(_Between):
    def shape(self, part):
        return 0.5 * (1.0 - ops.cos(3.141592653589793 * part))


@keras.saving.register_keras_serializable(package="tf_transfer")
class _DANN(Schedule):
    def __init__(self, final, gamma):
        self.final = _checks.number(final, "final", 0.0)
        self.gamma = _checks.number(gamma, "gamma", 0.0)

    def value(self, progress):
        return self.final * (2.0 / (1.0 + ops.exp(-self.gamma * progress)) - 1.0)

    def get_config(self):
        return {"final": self.final, "gamma": self.gamma}


@keras.saving.register_keras_serializable(package="tf_transfer")
class _Gaussian(Schedule):
    def __init__(self, final, finish, gamma):
        self.final = _checks.number(final, "final", 0.0)
        self.finish = _checks.positive(_checks.number(finish, "finish", 0.0, 1.0), "finish")
        self.gamma = _checks.number(gamma, "gamma", 0.0)

    def value(self, progress):
        left = 1.0 - ops.minimum(progress / self.finish, 1.0)
        return self.final * ops.exp(-self.gamma * ops.square(left))

    def get_config(self):
        return {"final": self.final, "finish": self.finish, "gamma": self.gamma}


def constant(value):
    """Returns a schedule that never changes.

    Args:
        value: Float.

    Example:

    >>> [round(float(tft.schedules.constant(0.3)(progress)), 3) for progress in (0.0, 1.0)]
    [0.3, 0.3]
    """
    return _Constant(value)


def linear(start=0.0, end=1.0, *, begin=0.0, finish=1.0):
    """Returns a schedule that goes from one value to another on a straight line.

    Args:
        start: Float, value until `begin`. Defaults to 0.
        end: Float, value from `finish` on. Defaults to 1.
        begin: Float in [0, 1), progress at which it leaves `start`. Defaults to 0.
        finish: Float in (begin, 1], progress at which it reaches `end`. Defaults to 1.

    Example:

    >>> ramp = tft.schedules.linear(0.0, 1.0, begin=0.5)
    >>> [float(ramp(progress)) for progress in (0.25, 0.75, 1.0)]
    [0.0, 0.5, 1.0]
    """
    return _Linear(start, end, begin, finish)


def cosine(start=0.0, end=1.0, *, begin=0.0, finish=1.0):
    """Returns a schedule that goes from one value to another on half a cosine, level at both ends.

    Args:
        start: Float, value until `begin`. Defaults to 0.
        end: Float, value from `finish` on. Defaults to 1.
        begin: Float in [0, 1), progress at which it leaves `start`. Defaults to 0.
        finish: Float in (begin, 1], progress at which it reaches `end`. Defaults to 1.

    Example:

    >>> [round(float(tft.schedules.cosine()(progress)), 3) for progress in (0.0, 0.25, 0.5, 1.0)]
    [0.0, 0.146, 0.5, 1.0]
    """
    return _Cosine(start, end, begin, finish)


def dann(final=1.0, *, gamma=10.0):
    """Returns the ramp of domain-adversarial training: final * (2 / (1 + exp(-gamma * progress)) - 1).

    The discriminator learns first; the encoder follows it as it becomes worth following.

    Args:
        final: Float of at least 0, the value that is approached at the end. Defaults to 1.
        gamma: Float of at least 0, how fast. Defaults to 10, as in the paper.

    Example:

    >>> [round(float(tft.schedules.dann()(progress)), 4) for progress in (0.0, 0.1, 0.5, 1.0)]
    [0.0, 0.4621, 0.9866, 0.9999]

    Reference:
        Ganin et al., 2016, section 5.2.2, https://arxiv.org/abs/1505.07818
    """
    return _DANN(final, gamma)


def gaussian(final=1.0, *, finish=1.0, gamma=5.0):
    """Returns the ramp of consistency costs: final * exp(-gamma * (1 - progress / finish)^2), then level.

    A teacher that is an average of its student is worth following once the student has learnt something.

    Args:
        final: Float of at least 0, value from `finish` on. Defaults to 1.
        finish: Float in (0, 1], progress at which it reaches `final`. Defaults to 1.
        gamma: Float of at least 0, how low it begins: at final * exp(-gamma). Defaults to 5, as in the papers.

    Example:

    >>> ramp = tft.schedules.gaussian(2.0, finish=0.5)
    >>> [round(float(ramp(progress)), 4) for progress in (0.0, 0.25, 0.5, 1.0)]
    [0.0135, 0.573, 2.0, 2.0]

    Reference:
        Laine and Aila, 2017, https://arxiv.org/abs/1610.02242
    """
    return _Gaussian(final, finish, gamma)


def get(value, name="value", minimum=None):
    """Returns a schedule for a number, and a schedule as it is.

    Args:
        value: Float or `Schedule`.
        name: String, what an error calls it. Defaults to "value".
        minimum: Float, least number allowed. Defaults to None.

    Returns:
        A `Schedule`.

    Raises:
        ValueError: For anything else.

    Example:

    >>> tft.schedules.get(0.5) == tft.schedules.constant(0.5)
    True
    """
    if isinstance(value, Schedule):
        return value
    try:
        return _Constant(_checks.number(value, name, minimum))
    except ValueError as error:
        raise ValueError(f"{error} A schedule from `tft.schedules` is welcome too.") from None

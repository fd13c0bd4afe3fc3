"""What losses with a temperature share."""

import keras

from tf_transfer import _checks, schedules
from tf_transfer.losses.distillation.distillation_loss import DistillationLoss


class TemperedLoss(DistillationLoss):
    """A distillation loss with a temperature: a number, or a schedule that a `Distiller` follows.

    `temperature` is read at each call and may be set to a scalar variable: that is how a `Distiller` moves it.
    """

    def __init__(self, temperature, **kwargs):
        super().__init__(**kwargs)
        self.temperature = self._given_temperature = above_zero(temperature, "temperature")

    def current_temperature(self):
        """Returns the temperature as a scalar tensor."""
        if isinstance(self.temperature, schedules.Schedule):
            raise ValueError(
                "`temperature` is a schedule, which a `Distiller` follows while it trains. To use "
                f"{type(self).__name__} by itself give a number, or set its `temperature` to a scalar variable. "
                f"Received: temperature={self.temperature!r}."
            )
        return keras.ops.convert_to_tensor(self.temperature, dtype=self.dtype)

    def get_config(self):
        return {**super().get_config(), "temperature": keras.saving.serialize_keras_object(self._given_temperature)}


def above_zero(value, name):
    """Returns a number above 0 as a float, or a schedule that begins and ends above 0, else raises."""
    schedule = schedules.get(value, name)
    ends = [float(schedule(progress)) for progress in (0.0, 1.0)]
    if min(ends) <= 0:
        raise ValueError(f"`{name}` must be above 0, at all times. Received: {name}={value!r}.")
    return value if value is schedule else _checks.number(value, name)

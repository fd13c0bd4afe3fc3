"""What a choice may cost: minutes of training, and the size and time of the model that comes out."""

import dataclasses

from tf_transfer import _checks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """What training and the model may cost, for `tft.recommend` and `tft.auto`.

    Args:
        minutes: Float above 0, time of training on this machine. Defaults to None: any.
        max_parameters: Integer, weights of the backbone. Defaults to None: any.
        max_milliseconds: Float above 0, time of the backbone for one image of a batch, on this machine. Defaults to
            None: any.

    Example:

    >>> Budget.of({"minutes": 5})
    Budget(minutes=5.0, max_parameters=None, max_milliseconds=None)
    """

    minutes: float | None = None
    max_parameters: int | None = None
    max_milliseconds: float | None = None

    def __post_init__(self):
        for name in ("minutes", "max_milliseconds"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _checks.positive(getattr(self, name), name))
        if self.max_parameters is not None:
            _checks.integer(self.max_parameters, "max_parameters", 1)

    @classmethod
    def of(cls, given):
        """Returns the budget that an argument stands for: a `Budget`, a dict of its fields, or None for any."""
        if given is None or isinstance(given, cls):
            return given or cls()
        if not isinstance(given, dict):
            raise ValueError(f'`budget` must be a `Budget` or a dict such as {{"minutes": 20}}. Received: {given!r}.')
        _checks.known_fields(given, [field.name for field in dataclasses.fields(cls)], "`budget`")
        return cls(**given)

    def check_kind(self, kind):
        """Raises for bounds of the backbone where it is none of images: only those are measured."""
        if kind != "images" and (self.max_parameters, self.max_milliseconds) != (None, None):
            raise ValueError(
                "`budget`: `max_parameters` and `max_milliseconds` bound backbones of images, and the data are "
                f"{kind}. Leave them out, and name networks that are small enough."
            )

    def refusal(self, row):
        """Returns why a `RankedBackbone` is too dear, or an empty string."""
        milliseconds = 1000 / row.examples_per_second
        if self.max_parameters is not None and row.num_parameters > self.max_parameters:
            return f"{row.name} has {row.num_parameters:,} weights, more than {self.max_parameters:,}"
        if self.max_milliseconds is not None and milliseconds > self.max_milliseconds:
            return f"{row.name} takes {milliseconds:.3g} ms an image here, more than {self.max_milliseconds:g}"
        return ""

    def affordable(self, rows):
        """Returns the `RankedBackbone`s that are not too dear, in their order.

        Raises:
            ValueError: When none is left.
        """
        kept = [row for row in rows if not self.refusal(row)]
        if not kept:
            raise ValueError(
                f"No backbone is within the budget: {'; '.join(map(self.refusal, rows))}. Name a smaller one in "
                "`backbones`, or make the images smaller."
            )
        return kept

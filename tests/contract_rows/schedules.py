"""What each public object of `tft.schedules` holds beyond its docstring."""

import tf_transfer as tft

import contract_parts as parts
from contract_parts import check_refuses
from contract_registry import row


@row("schedules.Schedule")
def _(schedule):
    ramps = (getattr(tft.schedules, name)() for name in ("linear", "cosine", "dann", "gaussian"))
    for made in (tft.schedules.constant(0.5), *ramps):
        assert isinstance(made, schedule)
        parts.check_registered(type(made))
        assert type(made).from_config(made.get_config()) == made


@row("schedules.constant")
def _(constant):
    check_refuses(lambda: constant("high"), "`constant` must be a number")


@row("schedules.linear")
def _(linear):
    check_refuses(lambda: linear(begin=0.7, finish=0.2), "`begin` must be less than `finish`", "0.7", "0.2")


@row("schedules.cosine")
def _(cosine):
    check_refuses(lambda: cosine(begin=-0.1), "`begin`", "from 0.0 to 1.0")


@row("schedules.dann")
def _(dann):
    check_refuses(lambda: dann(gamma=-1.0), "`gamma`", "at least 0")


@row("schedules.gaussian")
def _(gaussian):
    check_refuses(lambda: gaussian(finish=0.0), "`finish` must be above 0")


@row("schedules.get")
def _(get):
    check_refuses(lambda: get("ramp", "weight"), "`weight`", "tft.schedules")

"""What each public object of `tft.choosing` holds beyond its docstring."""

import keras
import numpy as np

from contract_parts import check_refuses
from contract_registry import row

IMAGES = np.zeros((4, 8, 8, 3), "float32"), np.array([0, 1, 0, 1])


@row("choosing.Budget")
def _(budget):
    check_refuses(lambda: budget(minutes=0), "`minutes`", "above 0")
    check_refuses(lambda: budget.of({"minuts": 3}), "'minuts'", "Did you mean 'minutes'?")
    check_refuses(lambda: budget.of(20), "`budget`")


@row("choosing.recommend")
def _(recommend):
    check_refuses(lambda: recommend("no/such/folder"), "no/such/folder")
    check_refuses(lambda: recommend(IMAGES, backbones=["mobilnet_v2"]), "Did you mean 'mobilenet_v2'?")
    bare = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()], name="bare")
    check_refuses(lambda: recommend(IMAGES, backbones=[bare]), "'bare' has no weights")
    check_refuses(lambda: recommend((IMAGES[0], IMAGES[1] + 0.5)), "`data`", "ImageRegressor")


@row("choosing.Recommendation", example_in="choosing.recommend")
def _(recommendation):
    assert recommendation.__dataclass_params__.frozen


@row("choosing.auto")
def _(auto):
    check_refuses(lambda: auto(IMAGES, minutes=0), "`minutes`")
    check_refuses(lambda: auto(IMAGES, methods=["l2sp"]), "`methods`", "Did you mean 'l2_sp'?")
    check_refuses(lambda: auto((IMAGES[0][:3], IMAGES[1][:3])), "two examples or more")
    check_refuses(lambda: auto((np.array(["a", "b", "a", "b"], object), IMAGES[1]), backbones=["men"]), "'mean'")


@row("choosing.AutoResult", example_in="choosing.auto")
def _(auto_result):
    assert auto_result.__dataclass_params__.frozen


@row("choosing.Trial")
def _(trial):
    done = trial("a", "b", "l2_sp", "short", 4, (0.5, 0.7), (1.0, 0.9), 3.0)
    assert done.score == 0.6 and done.finished

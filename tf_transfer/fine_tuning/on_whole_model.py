"""Callbacks that look at the whole model while only a part of it is in `fit`."""

import keras


class OnWholeModel(keras.callbacks.Callback):
    """Lets a callback see the whole model while only its head is in `fit`."""

    def __init__(self, callback, model):
        super().__init__()
        self._callback, self._whole = callback, model

    def set_params(self, params):
        super().set_params(params)
        self._callback.set_params(params)

    def set_model(self, model):
        super().set_model(model)
        self._whole.stop_training = False
        self._callback.set_model(self._whole)


def _forward(hook):
    def call(self, *args, **kwargs):
        getattr(self._callback, hook)(*args, **kwargs)
        self.model.stop_training = self.model.stop_training or self._whole.stop_training

    return call


for _when in ("train", "epoch", "train_batch", "test", "test_batch"):
    for _edge in ("begin", "end"):
        setattr(OnWholeModel, f"on_{_when}_{_edge}", _forward(f"on_{_when}_{_edge}"))

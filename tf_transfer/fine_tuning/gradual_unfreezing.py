"""A callback that lets a pretrained backbone train from the top block downwards."""

import keras

from tf_transfer import _checks
from tf_transfer.backbones import find_backbone, set_trainable
from tf_transfer.backbones.blocks import block_layers


class GradualUnfreezing(keras.callbacks.Callback):
    """Starts with a frozen backbone and unfreezes it block by block, from the top downwards, inside one `fit`.

    The head trains from the first epoch. What trains in an epoch depends on its number alone, so a second `fit` goes
    on where the first stopped when it says so with `initial_epoch`. The optimizer keeps its state; a block that joins
    starts with empty slots (see `tft.training.extend_optimizer` for what this means for Adam). In a model without a
    nested backbone each layer is a block, and the topmost one trains from the start.

    Each time something is unfrozen the training step is traced anew: in deep networks unfreeze several blocks at once.

    Args:
        schedule: Dict of epoch (counted from 0) to what trains from then on: a block's name ("from here up"), a number
            of blocks from the top, True or False. Defaults to None: `num_blocks` more every `epochs_per_block` epochs.
        epochs_per_block: Integer, epochs between two unfreezings, and before the first. Defaults to 1.
        num_blocks: Integer, how many blocks are unfrozen at once. Defaults to 1.
        last_block: String, the lowest block that is unfrozen. Defaults to None, all are.
        batch_norm: "frozen" or "trainable", as in `tft.set_trainable`. Defaults to "frozen".
        verbose: 0 or 1, whether to print a line at each unfreezing. Defaults to 1.

    Attributes:
        log: List of dicts, one for each change: `epoch`, `blocks` (names that began to train) and `trainable` (number
            of parameters that train).

    Raises:
        ValueError: At the start of `fit`, when the backbone has nothing to unfreeze, a block is unknown, or `fit` is
            too short to unfreeze anything.

    Example:

    >>> layers = [keras.layers.Input((2,)), keras.layers.Dense(2, name="low"), keras.layers.Dense(1, name="high")]
    >>> backbone = keras.Sequential(layers)
    >>> model = keras.Sequential([keras.layers.Input((2,)), backbone, keras.layers.Dense(1, name="head")])
    >>> model.compile("adam", "mse")
    >>> unfreezing = tft.GradualUnfreezing(epochs_per_block=2)
    >>> _ = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=5, verbose=0, callbacks=[unfreezing])
    Epoch 3: high trains now; 5 of 11 parameters train (45.5%)
    Epoch 5: low trains now; 11 of 11 parameters train (100.0%)
    >>> [(entry["epoch"], entry["blocks"]) for entry in unfreezing.log]
    [(2, ['high']), (4, ['low'])]

    Reference:
        Howard and Ruder, 2018, https://arxiv.org/abs/1801.06146
    """

    def __init__(
        self, schedule=None, *, epochs_per_block=1, num_blocks=1, last_block=None, batch_norm="frozen", verbose=1
    ):
        super().__init__()
        self.schedule = None if schedule is None else _checked_schedule(schedule)
        self.epochs_per_block = _checks.integer(epochs_per_block, "epochs_per_block", minimum=1)
        self.num_blocks = _checks.integer(num_blocks, "num_blocks", minimum=1)
        self.last_block = last_block
        self.batch_norm = _checks.one_of(batch_norm, "batch_norm", ["frozen", "trainable"])
        self.verbose = verbose
        self.log = []
        self._order = []
        self._from_the_start = False
        self._applied = None

    def on_train_begin(self, logs=None):
        self.log = []
        self._applied = None
        self._from_the_start, self._order = self._plan()
        self._check_plan(self.params.get("epochs", 1))

    def on_epoch_begin(self, epoch, logs=None):
        target = self._target(epoch)
        # 1 and True are equal in Python, and not the same to unfreeze.
        if (type(target), target) == self._applied:
            return
        first_call = self._applied is None
        before = [] if first_call else _training_blocks(self.model)
        count = set_trainable(self.model, target, batch_norm=self.batch_norm, verbose=False)
        self._applied = (type(target), target)
        if first_call and target == self._from_the_start:
            return
        new = [name for name in _training_blocks(self.model) if name not in before]
        self.log.append({"epoch": epoch, "blocks": new, "trainable": count.trainable})
        if self.verbose:
            what = f"{', '.join(new)} {'trains' if len(new) == 1 else 'train'} now" if new else "blocks were frozen"
            print(f"Epoch {epoch + 1}: {what}; {count}")

    def _target(self, epoch):
        """Returns what `set_trainable` is to be told for an epoch."""
        if self.schedule is not None:
            begun = [start for start in self.schedule if start <= epoch]
            target = self.schedule[max(begun)] if begun else False
        else:
            number = min(epoch // self.epochs_per_block * self.num_blocks, len(self._order))
            target = self._order[number - 1] if number else False
        return self._from_the_start if target is False else target

    def _plan(self):
        """Returns what trains from the start, and the names of the blocks to unfreeze, from the top.

        A block that has nothing to train by itself joins the next one below.
        """
        grouped = block_layers(self.model)
        if self.last_block is not None and self.last_block not in grouped:
            hint = _checks.did_you_mean(self.last_block, grouped)
            raise ValueError(f"`last_block` must be one of {list(grouped)}. Received: {self.last_block!r}.{hint}")
        order = []
        for name in reversed(grouped):
            if _can_train(grouped[name], self.batch_norm):
                order.append(name)
            if name == self.last_block:
                break
        # Without a nested backbone the head is the topmost of the blocks, and somebody has to train.
        first = order.pop(0) if order and find_backbone(self.model) is self.model else False
        if not order:
            raise ValueError(
                f"{self.model.name!r} has nothing to unfreeze with batch_norm={self.batch_norm!r} and "
                f"last_block={self.last_block!r}. Its blocks are {list(grouped)}."
            )
        return first, order

    def _check_plan(self, num_epochs):
        names = list(block_layers(self.model))
        for target in (self.schedule or {}).values():
            if isinstance(target, str):
                _checks.one_of(target, "schedule", names)
            elif not isinstance(target, bool):
                _checks.integer(target, "schedule", minimum=1, maximum=len(names))
        if all(self._target(epoch) == self._from_the_start for epoch in range(num_epochs)):
            raise ValueError(
                f"Nothing would be unfrozen in {num_epochs} epochs. Received: schedule={self.schedule}, "
                f"epochs_per_block={self.epochs_per_block}. Train for more epochs, or unfreeze earlier."
            )


def _checked_schedule(schedule):
    if not isinstance(schedule, dict) or not schedule:
        raise ValueError(
            "`schedule` must be a dict of epoch to what trains from then on, such as {2: 'block_13', 5: True}. "
            f"Received: schedule={schedule!r}."
        )
    for epoch, target in schedule.items():
        _checks.integer(epoch, "epoch of `schedule`", minimum=0)
        if not isinstance(target, bool | str | int):
            raise ValueError(f"`schedule` takes block names, numbers, True and False. Received: {epoch}: {target!r}.")
    return dict(schedule)


def _can_train(layers, batch_norm):
    parts = [part for layer in layers for part in layer._flatten_layers()]
    if batch_norm == "frozen":
        parts = [part for part in parts if not isinstance(part, keras.layers.BatchNormalization)]
    return any(part._trainable_variables for part in parts)


def _training_blocks(model):
    """Returns the names of the blocks that train, from the top."""
    grouped = block_layers(model)
    return [name for name in reversed(grouped) if any(layer.trainable_variables for layer in grouped[name])]

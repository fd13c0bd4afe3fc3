"""The state of a run of several trainings, so that one that was stopped goes on and ends as it would have."""

import copy
import json
import os
import shutil

import keras
import numpy as np
import tensorflow as tf

from tf_transfer import _files
from tf_transfer.distribution import is_multi_worker
from tf_transfer.training.resume_training import ResumeTraining, random_states
from tf_transfer.training.stop_on_nan import stopping_on_nan

_RUN, _WEIGHTS, _SEEDS = "run.json", "{}.start.weights.h5", "{}.start.seeds.npz"


class RunState:
    """Keeps the state of a run in a folder: of each training in it, after each epoch.

    A run is what a function does from its begin to its end. Started again with the same settings it goes through the
    same steps; trainings that were complete are taken from the folder, the one that was stopped goes on after its last
    epoch, and the folder goes when the run is complete. What lies between the trainings (measuring, cutting features)
    is done again. On one CPU the weights, the optimizer and the history end bit for bit as without the stop, if the
    streams are functions of a seed.

    Args:
        folder: String or path, of this run alone, or None, which keeps nothing: `fit` is then plain.
        settings: Dict of plain data, what the run depends on. A folder with others is refused.
        verbose: 0 or 1, whether to print where the run goes on. Defaults to 1.
        chief: Boolean, whether this process is the one of several that writes. Defaults to True.

    Raises:
        ValueError: When the folder holds the state of a run with other settings, which are named; something else; or
            another process is in that run.

    Example:

    >>> def run(stop=False):
    ...     model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    ...     model.compile(keras.optimizers.SGD(0.1), "mse")
    ...     with tft.training.RunState("state", {"rate": 0.1}, verbose=0) as state:
    ...         history = state.fit("only", model, tf.data.Dataset.from_tensors((np.ones((4, 1)), np.zeros(4))),
    ...                             epochs=3, verbose=0)
    ...         return len(history.epoch), 1 / (not stop)
    >>> try:
    ...     run(stop=True)
    ... except ZeroDivisionError:
    ...     os.path.exists("state"), run(), os.path.exists("state")
    (True, (3, 1.0), False)
    """

    def __init__(self, folder, settings=None, *, verbose=1, chief=True):
        self.folder = None if folder is None else os.fspath(folder)
        self.settings, self.verbose = settings or {}, verbose
        self.chief = chief
        self._lock, self._prefix = None, ""

    def part(self, name):
        """Returns a `RunState` for a part of this run, whose trainings may have the names of those of other parts.

        Args:
            name: String, of the part among those of the run.
        """
        part = copy.copy(self)
        part._prefix = f"{self._prefix}{name} "
        return part

    def __enter__(self):
        if self.folder is not None and self.chief:
            self._check_place()
            os.makedirs(self.folder, exist_ok=True)
            self._lock = self._hold()
            try:
                self._compare()
                _files.write_json(self._path(_RUN), self.settings, indent=1)
            except BaseException:
                # `with` leaves only what it entered: a corrected call would find the folder held.
                os.close(self._lock)
                raise
        return self

    def __exit__(self, kind, error, trace):
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self.folder is None:
            return
        if kind is None and self.chief:
            shutil.rmtree(self.folder, ignore_errors=True)
        elif kind is not None and issubclass(kind, KeyboardInterrupt):
            said = str(error) or "Stopped."
            raise kind(f"{said} The state of the run is in {self.folder}; the same call goes on from there.") from error

    def begin_with(self, model, name="run"):
        """Gives a model the weights and random states that it began with; at first, keeps those that it has.

        Args:
            model: Built `keras.Model`.
            name: String, of the model among those of the run. Defaults to "run".
        """
        # Several workers draw the same by their seeds, and would have to wait for each other here.
        if self.folder is None or is_multi_worker(model.distribute_strategy):
            return
        name = self._prefix + name
        states, weights, seeds = random_states(model), self._path(_WEIGHTS, name), self._path(_SEEDS, name)
        if os.path.exists(seeds):
            model.load_weights(weights)
            with np.load(seeds, allow_pickle=False) as stored:
                for variable, name in zip(states, stored.files, strict=True):
                    variable.assign(stored[name])
            return
        with _files.whole_file(weights) as draft:
            keras.Model.save_weights(model, draft, overwrite=True)
        with _files.whole_file(seeds) as draft:
            np.savez(draft, *(keras.ops.convert_to_numpy(each) for each in states))

    def fit(self, name, model, x, *, callbacks=(), steps_per_epoch=None, **options):
        """Fits a model as Keras' `fit` does, or goes on where that was stopped, and returns the history of all epochs.

        Args:
            name: String, of this training among those of the run.
            model: Compiled `keras.Model`.
            x: `tf.data.Dataset` that was made for this call alone and has not been iterated over.
            callbacks: Sequence of Keras callbacks, whose state is kept too.
            steps_per_epoch: As in `fit`.
            **options: As in `fit`; a dataset shuffles itself, so that `shuffle` is False.
        """
        callbacks, done = list(callbacks), 0
        if self.folder is not None:
            place = os.path.join(self.folder, self._prefix + name)
            resume = ResumeTraining(place, callbacks, keep=True, verbose=self.verbose)
            done = resume.epochs_done
            callbacks.append(resume)
        if model.distribute_strategy.num_replicas_in_sync == 1:
            x = forward_stream(x, done, steps_per_epoch)
        # Keras warns that it does not shuffle a dataset, by the default of an argument that nobody gave.
        options["shuffle"] = False
        # It stands first, so that no other keeps what came of an epoch that it stops.
        return model.fit(x, callbacks=stopping_on_nan(callbacks), steps_per_epoch=steps_per_epoch, **options)

    def _path(self, name, *values):
        return os.path.join(self.folder, name.format(*values))

    def _check_place(self):
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return
        except NotADirectoryError as error:
            raise ValueError(f"The state of a run needs a folder, but {self.folder!r} is a file.") from error
        if names and _RUN not in names and not all(name.startswith(_files.DRAFT_PREFIX) for name in names):
            raise ValueError(
                f"{self.folder!r} holds something else than the state of a run, which is removed at the end. Name a "
                "new folder."
            )

    def _hold(self):
        try:
            return _files.lock_folder(self.folder)
        except BlockingIOError as error:
            raise ValueError(
                f"Another process is in the run whose state is in {self.folder!r}. End it first."
            ) from error

    def _compare(self):
        try:
            with open(self._path(_RUN), encoding="utf-8") as file:
                stored = json.load(file)
        except FileNotFoundError:
            return
        # As a file would hold them: tuples are lists there.
        given = json.loads(json.dumps(self.settings))
        names = [name for name in sorted({*stored, *given}) if stored.get(name) != given.get(name)]
        if names:
            differing = ", ".join(f"{name} was {stored.get(name)!r} and is {given.get(name)!r}" for name in names)
            raise ValueError(
                f"{self.folder!r} holds the state of a run with other settings: {differing}. Start with those of then, "
                "name another folder, or remove this one to begin anew."
            )


def forward_stream(batches, num_epochs, steps_per_epoch=None):
    """Returns a new stream as it would be after some epochs of a `fit`.

    Args:
        batches: `tf.data.Dataset` that has not been iterated over. Its orders have to be functions of its seeds.
        num_epochs: Integer, the epochs that are to be left out.
        steps_per_epoch: Integer when an epoch is so many batches of a stream that goes on, None when each epoch goes
            through all of it. Defaults to None.

    Example:

    >>> def stream():
    ...     return tf.data.Dataset.range(3).shuffle(3, seed=0)
    >>> whole = stream()
    >>> epochs = [list(whole.as_numpy_iterator()) for _ in range(4)]
    >>> list(forward_stream(stream(), 3).as_numpy_iterator()) == epochs[3]
    True
    """
    if not isinstance(batches, tf.data.Dataset):
        return batches
    if steps_per_epoch is not None:
        return batches.repeat().skip(num_epochs * steps_per_epoch) if num_epochs else batches
    # A stream draws a new order when an iteration begins, also one that takes nothing.
    for _ in range(num_epochs):
        iter(batches)
    # Keras begins some that it never takes from. In here they draw nothing: an inner iteration begins with its first
    # batch.
    length = batches.cardinality()
    stream = tf.data.Dataset.from_tensors(0).flat_map(lambda _: batches)
    return stream if length < 0 else stream.apply(tf.data.experimental.assert_cardinality(length))

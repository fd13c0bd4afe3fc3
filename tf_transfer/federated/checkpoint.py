"""The state of a federated run after each round, so that one that was stopped goes on and ends as it would have."""

import json
import os

import numpy as np

from tf_transfer import _files
from tf_transfer.training.callback_states import read_states, write_states

_STATE, _ARRAYS = "rounds.json", "rounds_{}.npz"
_KEPT = "The state after the round before is kept, and the same call goes on from there."


class Checkpoint:
    """Writes and reads what a run needs to go on: weights, the server's moments, personal weights, history, callbacks.

    Args:
        folder: String, of this run, or None, which keeps nothing.
        server: `FedAvg` or a subclass.
        callbacks: Sequence of Keras callbacks, the history among them.
    """

    def __init__(self, folder, server, callbacks):
        self._folder, self._server, self._callbacks = folder, server, callbacks

    def load(self):
        """Returns how many rounds are done, and whether a callback stopped the run after them."""
        if self._folder is None or not os.path.exists(self._place(_STATE)):
            self.keep(0)
            return 0, False
        with open(self._place(_STATE), encoding="utf-8") as file:
            state = json.load(file)
        with np.load(self._place(_ARRAYS, state["round"]), allow_pickle=False) as stored:
            arrays = [stored[name] for name in stored.files]
        self._server.set_state(state["server"], arrays[: state["num_server"]])
        write_states(self._callbacks, state["callbacks"], arrays[state["num_server"] :])
        return state["round"], state["stopped"]

    def keep(self, round_number):
        """Keeps the state after so many rounds."""
        if self._folder is not None:
            self._write(round_number)
        self._server.personal_states.remove_outdated()

    def _write(self, round_number):
        plain, own = self._server.state()
        states, arrays = read_states(self._callbacks)
        with _files.whole_file(self._place(_ARRAYS, round_number), _KEPT) as draft:
            np.savez(draft, *own, *arrays)
        state = {"round": round_number, "server": plain, "num_server": len(own), "callbacks": states}
        state["stopped"] = bool(self._server.model.stop_training)
        _files.write_text(self._place(_STATE), json.dumps(state), _KEPT)
        for name in os.listdir(self._folder):
            if name.startswith("rounds_") and name != _ARRAYS.format(round_number):
                os.remove(self._place(name))

    def _place(self, name, *numbers):
        return os.path.join(self._folder, name.format(*numbers))

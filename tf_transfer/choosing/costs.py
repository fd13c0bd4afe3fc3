"""How long training will take, from what a backbone was measured to take here."""

from tf_transfer.choosing.methods import METHODS, phases_for

# Making a model and tracing its steps, in seconds: what the smallest of data takes.
_START = 10.0
_CAUTION = 1.5
# Examples a second, of what was not measured.
_USUAL_SPEED = 1000.0


def predicted_seconds(method, phases, num_examples, examples_per_second):
    """Returns about how many seconds a method trains.

    Features are made once; an epoch of the backbone costs what `METHODS` says in forward passes.

    Args:
        method: String, a name in `METHODS`.
        phases: Dict of arguments of `tft.fine_tune`.
        num_examples: Integer.
        examples_per_second: Float, of the backbone's forward pass, as `RankedBackbone` has it.
    """
    forward = num_examples / examples_per_second
    epochs = phases.get("epochs", 0)
    start = _START if epochs else _START / 2
    return start + forward * (bool(phases.get("freeze_epochs", 1)) + METHODS[method].passes * epochs)


def within_minutes(method, phases, num_examples, examples_per_second, minutes):
    """Returns a method and phases that fit into the time, their seconds, and the sentences that say what was cut.

    The epochs of the backbone become fewer, at least three; where those don't fit, the backbone stays frozen.
    """
    seconds = predicted_seconds(method, phases, num_examples, examples_per_second)
    if minutes is None or seconds <= 60 * minutes:
        return method, phases, seconds, []
    planned = phases.get("epochs", 0)
    for epochs in range(planned - 1, 2, -1):
        shorter = {**phases, "epochs": epochs}
        seconds = predicted_seconds(method, shorter, num_examples, examples_per_second)
        if seconds <= 60 * minutes:
            said = f"{planned} epochs of the backbone would pass {minutes:g} minutes here: {epochs} fit."
            return method, shorter, seconds, [said]
    said = []
    if planned and method != "from_scratch":
        said = [f"Training the backbone would pass {minutes:g} minutes here, so it stays frozen: a head takes seconds."]
        method, phases = "feature_extraction", phases_for("feature_extraction", num_examples)
        seconds = predicted_seconds(method, phases, num_examples, examples_per_second)
    if seconds > 60 * minutes:
        said.append(
            f"Even this takes about {seconds / 60:.1f} minutes: take fewer or smaller examples or a smaller network."
        )
    return method, phases, seconds, said


class Forecast:
    """What trainings will take, corrected by what they took.

    Args:
        num_examples: Integer.
        num_folds: Integer, the parts that the examples are divided into; each is left out once.
        speeds: Dict of names of backbones to examples a second of a forward pass.
    """

    def __init__(self, num_examples, num_folds, speeds):
        self._num_examples, self._kept, self._speeds = num_examples, 1 - 1 / num_folds, speeds
        # By whether the backbone is frozen. A guess is only a guess until something was measured.
        self._slowness, self._known = {True: _CAUTION, False: _CAUTION}, {}

    def part(self, candidate):
        """Returns the seconds of training on all parts but one."""
        known = self._known.get(self._key(candidate))
        return known or self._slowness[candidate.is_frozen] * self._guess(candidate, self._kept)

    def whole(self, candidate):
        """Returns the seconds of training on all examples."""
        if candidate.is_frozen:
            # In parts its features were there already, and the backbone was not made.
            return self.part(candidate) + _CAUTION * self._guess(candidate)
        return self.part(candidate) / self._kept

    def learn(self, candidate, seconds):
        """Notes what training on all parts but one took."""
        self._slowness[candidate.is_frozen] = max(0.3, seconds / self._guess(candidate, self._kept))
        self._known[self._key(candidate)] = seconds

    def _guess(self, candidate, share=1.0):
        speed = self._speeds.get(candidate.backbone) or _USUAL_SPEED
        return predicted_seconds(candidate.method, candidate.phases, share * self._num_examples, speed)

    @staticmethod
    def _key(candidate):
        return candidate.name, candidate.phases.get("epochs", 0)

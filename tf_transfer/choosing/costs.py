"""How long training will take, from what a backbone was measured to take here."""

from tf_transfer.choosing.methods import METHODS, phases_for

# Making a model and tracing its steps, in seconds: what the smallest of data takes.
_START = 10.0


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

"""What examples a model takes, as `tft.data.as_dataset` is told it."""


def taken(model):
    """Returns the arguments of `as_dataset` that follow from a model: its `input_shape`, and whether values may miss.

    Args:
        model: `keras.Model`, compiled or not. One without known inputs, with several, or with a dict of them has no
            `input_shape`.
    """
    inputs = getattr(model, "inputs", None) or ()
    single = len(inputs) == 1 and not isinstance(getattr(model, "input", None), dict)
    missing = getattr(getattr(model, "builder", None), "takes_missing", False)
    return {"input_shape": tuple(inputs[0].shape[1:]) if single else None, "missing": missing}

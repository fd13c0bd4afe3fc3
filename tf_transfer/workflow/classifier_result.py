"""What the results of runs that train a classifier answer alike."""


class ClassifierResult:
    """Base of results with a `builder` and an `evaluation`."""

    @property
    def accuracy(self):
        """The share of validation images that were classified right."""
        return self.evaluation.accuracy

    @property
    def class_names(self):
        """List of strings, the classes in the order of the model's scores; None where it predicts values."""
        names = getattr(self.builder, "class_names", None)
        return None if names is None else list(names)

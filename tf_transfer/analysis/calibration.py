"""Whether a classifier is right as often as it says, and how to make it so."""

import dataclasses

import keras
import numpy as np
from keras import ops

from tf_transfer import _checks
from tf_transfer.analysis.asked import ask
from tf_transfer.analysis.classifier_evaluation import ClassifierEvaluation
from tf_transfer.training import as_multi_worker, with_logits
from tf_transfer.training.graphs import graph_of

# Beyond these a model is as good as always or never sure.
_COLDEST, _HOTTEST = 0.02, 50.0


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Reliability:
    """How often a classifier is right among the examples where it is about as sure, part by part.

    Args:
        evaluation: `ClassifierEvaluation`.
        num_bins: Integer, parts of equal width of the scores from 0 to 1. Defaults to 15.
        of_class: Integer, the class whose scores are judged by the share of examples that are of it. Defaults to None:
            the highest score of each example, by the share that is right.

    Attributes:
        counts: Integer array of shape `(num_bins,)`, how many examples' scores lie in each.
        confidence: Float array of shape `(num_bins,)`, the mean of these scores; NaN where there are none.
        accuracy: Float array of shape `(num_bins,)`, the share that is right; NaN where there are none.
        expected_calibration_error: Float, sum over the bins of their share times |accuracy - confidence|.
        maximum_calibration_error: Float, the largest |accuracy - confidence|.

    Example:

    >>> scores = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.2, 0.8]])
    >>> reliability = tft.analysis.Reliability(tft.analysis.ClassifierEvaluation(scores, np.array([0, 1, 1, 1])))
    >>> round(reliability.expected_calibration_error, 3)
    0.3

    Reference:
        Guo et al., 2017, https://arxiv.org/abs/1706.04599
    """

    evaluation: ClassifierEvaluation
    num_bins: int = 15
    of_class: int | None = None

    def __post_init__(self):
        _checks.integer(self.num_bins, "num_bins", 1)
        if self.of_class is None:
            right = self.evaluation.predictions == self.evaluation.labels
        else:
            _checks.integer(self.of_class, "of_class", 0, len(self.evaluation.class_names) - 1)
            right = self.evaluation.labels == self.of_class
        scores = self._scores()
        places = self._places(scores)
        counts = np.bincount(places, minlength=self.num_bins)
        with np.errstate(invalid="ignore"):
            confidence = np.bincount(places, scores, self.num_bins) / counts
            accuracy = np.bincount(places, right, self.num_bins) / counts
        for name, value in (("counts", counts), ("confidence", confidence), ("accuracy", accuracy)):
            object.__setattr__(self, name, value)

    def __repr__(self):
        return (
            f"<Reliability of {self.counts.sum()} examples: expected calibration error "
            f"{self.expected_calibration_error:.3f}>"
        )

    @property
    def expected_calibration_error(self):
        gaps = np.nan_to_num(np.abs(self.accuracy - self.confidence))
        return float(np.sum(self.counts * gaps) / self.counts.sum())

    @property
    def maximum_calibration_error(self):
        return float(np.nanmax(np.abs(self.accuracy - self.confidence)))

    def error_by_chance(self, num_draws=200, seed=0):
        """Returns the expected calibration error that perfectly calibrated scores would show on so few examples.

        A share among few examples differs from its score by chance alone, so that the error is never 0. Here labels
        are drawn from the scores themselves: an error near the mean of theirs says nothing against a model.

        Args:
            num_draws: Integer, how often labels are drawn for all examples. Defaults to 200.
            seed: Integer. Defaults to 0.

        Reference:
            Vaicenavicius et al., 2019, section 5.2, https://arxiv.org/abs/1902.06977
        """
        _checks.integer(num_draws, "num_draws", 1)
        rng = np.random.default_rng(seed)
        scores = self._scores()
        places = self._places(scores)
        errors = [
            np.abs(np.bincount(places, (rng.uniform(size=len(scores)) < scores) - scores)).sum() / len(scores)
            for _ in range(num_draws)
        ]
        return float(np.mean(errors))

    def _scores(self):
        scores = self.evaluation.scores.astype("float64")
        return scores.max(axis=1) if self.of_class is None else scores[:, self.of_class]

    def _places(self, scores):
        # A score on an edge belongs to the part below it, as in the paper.
        return np.clip(np.ceil(scores * self.num_bins).astype(int) - 1, 0, self.num_bins - 1)

    def plot(self):
        """Draws the reliability diagram and how many examples lie where; returns a `matplotlib.figure.Figure`."""
        return plot_reliability({"": self})


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Calibration:
    """What `tft.analysis.calibrate` found.

    Attributes:
        model: `keras.Model` whose scores are calibrated; its layers are shared with the one that was given.
        temperature: Float above 0, what the logits are divided by; above 1 for a model that was too sure.
        before: `Reliability` of the model that was given, on the data that the temperature is fitted to.
        after: `Reliability` of the new one, on the same.
    """

    model: keras.Model
    temperature: float
    before: Reliability
    after: Reliability

    def __repr__(self):
        errors = (each.expected_calibration_error for each in (self.before, self.after))
        return "<Calibration: temperature {:.2f}, expected calibration error {:.3f} before, {:.3f} after>".format(
            self.temperature, *errors
        )

    def plot(self):
        """Draws the reliability diagrams before and after; returns a `matplotlib.figure.Figure`."""
        return plot_reliability({"before": self.before, "after": self.after})


def calibrate(model, data, *, num_bins=15, batch_size=None, verbose=0):
    """Divides a classifier's logits by the temperature at which its scores are as often right as they say.

    Value: the T that minimizes the mean of -log softmax(logits / T)[label]. No prediction changes, only how sure it is.
    The temperature is a layer of the model, so it stays in its file and in what is exported. Take held-out examples: a
    model is surer of those that it was trained on. An error measured on them after the fit is a little too good; for
    one to publish, measure on a third part.

    Args:
        model: Classifier of one label an example, a functional or sequential `keras.Model`; see
            `tft.training.with_logits` for what its logits are.
        data: Labelled examples, as in `tft.analysis.evaluate_classifier`.
        num_bins: Integer, as in `Reliability`. Defaults to 15.
        batch_size: Integer, as in `evaluate_classifier`. Defaults to None.
        verbose: 0 or 1, whether to show a progress bar. Defaults to 0.

    Returns:
        A `Calibration`.

    Raises:
        ValueError: When the model has no logits of one label an example.

    Example:

    >>> sure = keras.Sequential([keras.Input((2,)), keras.layers.Rescaling(20.0), keras.layers.Softmax()])
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> y = (x[:, 1] + np.random.default_rng(1).normal(size=200) > x[:, 0]).astype(int)
    >>> calibration = tft.analysis.calibrate(sure, (x, y))
    >>> calibration.temperature > 5, bool(calibration.after.expected_calibration_error < 0.1)
    (True, True)

    Reference:
        Guo et al., 2017, section 4.2, https://arxiv.org/abs/1706.04599
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax, softmax

    if getattr(getattr(model, "builder", None), "multi_label", False):
        raise ValueError(f"`calibrate` is for one label an example; {model.name!r} gives several.")
    both = with_logits(model)
    logits_of = keras.Model(graph_of(model).input, both.outputs[1])
    # It says whether values may be missing.
    logits_of.builder = getattr(model, "builder", None)
    logits, labels, _ = ask(logits_of, data, batch_size=batch_size, verbose=verbose)
    evaluation = ClassifierEvaluation(softmax(logits.astype("float64"), axis=1), labels)
    rows = np.arange(len(logits))

    def loss(log_temperature):
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[rows, evaluation.labels].mean()

    bounds = np.log([_COLDEST, _HOTTEST])
    temperature = float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5}).x))
    after = ClassifierEvaluation(softmax(logits.astype("float64") / temperature, axis=1), labels)
    reliabilities = [Reliability(each, num_bins) for each in (evaluation, after)]
    return Calibration(_with_temperature(model, both, temperature), temperature, *reliabilities)


def _with_temperature(model, both, temperature):
    """Returns a plain model whose scores are those of the logits at a temperature."""
    logits = both.outputs[1]
    scaled = keras.layers.Rescaling(1.0 / temperature, name="temperature", dtype="float32")
    if model.outputs[0].shape[-1] == 1:
        # The logits of "no" and "yes", of which a sigmoid knows the difference.
        difference = ops.subtract(logits[:, 1:], logits[:, :1])
        scores = keras.layers.Activation("sigmoid", name="scores", dtype="float32")(scaled(difference))
    else:
        scores = keras.layers.Softmax(name="scores", dtype="float32")(scaled(logits))
    calibrated = as_multi_worker(keras.Model(graph_of(model).input, scores, name=model.name))
    for name in ("builder", "class_names"):
        if hasattr(model, name):
            setattr(calibrated, name, getattr(model, name))
    return calibrated


def plot_reliability(reliabilities):
    """Draws reliability diagrams side by side.

    Args:
        reliabilities: Dict of titles to `Reliability`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    from matplotlib.figure import Figure

    num = len(reliabilities)
    figure = Figure(figsize=(4.2 * num, 4.8), layout="constrained")
    grid = figure.subplots(2, num, squeeze=False, height_ratios=(3, 1), sharex=True)
    for (title, each), (upper, lower) in zip(reliabilities.items(), grid.T, strict=True):
        edges = np.linspace(0, 1, each.num_bins + 1)
        known = each.counts > 0
        upper.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--")
        upper.bar(edges[:-1][known], each.accuracy[known], 1 / each.num_bins, align="edge", color="#6b8fb8",
                  edgecolor="white", label="right")  # fmt: skip
        upper.scatter(each.confidence[known], each.accuracy[known], color="#e0752d", s=14, zorder=2)
        error = f"expected calibration error {each.expected_calibration_error:.3f}"
        upper.set_title(f"{title}: {error}" if title else error, fontsize=10)
        of_class = each.of_class is not None
        upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that is of it" if of_class else "share that is right")
        lower.bar(edges[:-1], each.counts, 1 / each.num_bins, align="edge", color="0.75", edgecolor="white")
        lower.set(xlabel="score" if of_class else "highest score", ylabel="examples")
        for axes in (upper, lower):
            axes.spines[["top", "right"]].set_visible(False)
    return figure

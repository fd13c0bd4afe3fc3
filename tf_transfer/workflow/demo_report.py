"""The page that the demo writes."""

import importlib.metadata
import os
import platform

import keras
import numpy as np
import tensorflow as tf

from tf_transfer import __version__
from tf_transfer.reporting import HTMLReport
from tf_transfer.workflow import demo_runs


def write(result, quick=False):
    """Writes what the demo gave, a `demo.DemoResult`, as an HTML file and returns its path."""
    num_train, num_validation = _labels_per_class(result)
    report = HTMLReport(f"From MNIST to other digits with {num_train + num_validation} labels a class")
    if quick:
        report.text("A quick run, with a tenth of the epochs: its figures say nothing about the methods.")
    _results(report, result)
    _curves(report, result)
    _errors(report, result)
    _serving(report, result)
    _how(report, result)
    return report.save(result.report_path)


def _results(report, result):
    runs, best = result.runs, result.best
    table = demo_runs.summary(runs)
    gain, tuned_gain = (
        100 * (table["fine-tuned"]["accuracy"][0] - table[method]["accuracy"][0])
        for method in ("from scratch", "from scratch, tuned")
    )
    report.text(
        f"The encoder {demo_runs.ENCODER!r} was trained on MNIST and ships with the project. Here it is carried over "
        "to scikit-learn's handwritten digits: other people, another scanner, 8x8 pixels. Fine-tuned, it is "
        f"{abs(gain):.1f} accuracy points {'above' if gain >= 0 else 'below'} the same network trained from scratch "
        f"in the same way, and {abs(tuned_gain):.1f} {'above' if tuned_gain >= 0 else 'below'} it when it has the rate "
        "and the epochs that suit it best, "
        f"on {len(best.test.labels)} test images, mean over seeds {_seeds(runs)}."
    )
    report.section("The same labels, with and without a pretrained start")
    report.table(
        ["method", "accuracy", "macro-F1", "seconds"],
        demo_runs.summary_rows(runs),
        best=list(table).index(best.method),
        caption="Mean and standard deviation over seeds, on test images that no training has seen.",
    )
    rows = []
    for run in runs:
        low, high = run.test.accuracy_interval()
        accuracy = f"{run.test.accuracy:.3f} ({low:.3f} to {high:.3f})"
        rows.append([run.seed, run.method, accuracy, run.test.macro_f1, run.validation.log_loss, f"{run.seconds:.1f}"])
    report.table(
        ["seed", "method", "accuracy (95% interval)", "macro-F1", "validation loss", "seconds"],
        rows,
        best=runs.index(best),
        caption="Every run; marked, the one that was exported. It was chosen by its validation loss: first the method "
        "with the lowest mean, then the seed. The interval is Wilson's, for the test images alone.",
    )


def _curves(report, result):
    report.section("Curves")
    report.text(
        f"Those of seed {result.best.seed}. Dashed lines mark where a phase of the training begins; the weights of the "
        "epoch with the lowest validation loss are kept."
    )
    for run in result.runs:
        if run.seed == result.best.seed:
            plots = [run.history.plot([name]) for name in ("loss", "accuracy")]
            report.figure(plots, f"{run.method}: loss and accuracy over the epochs")


def _errors(report, result):
    best = result.best
    report.section("Where the exported model is wrong")
    report.figure(best.test.plot_confusion(), f"{best.method}, seed {best.seed}: number of test images by class")
    test = best.test
    report.table(
        ["class", "precision", "recall", "F1", "images"],
        zip(test.class_names, test.precision, test.recall, test.f1, test.support),
    )
    images = best.digits.test[0]
    mistakes = test.most_confident_mistakes(12)
    if mistakes:
        report.text("The most confident mistakes, with the score of the wrong class:")
        report.pictures(
            [images[mistake.index] for mistake in mistakes], [test.describe(mistake) for mistake in mistakes]
        )
    else:
        report.text("It made no mistake.")


def _serving(report, result):
    served = result.served
    report.section("What is served")
    report.text(
        f"{result.export_path} was loaded by TensorFlow's C library ({served.tensorflow}) in a process that imports "
        "neither TensorFlow nor Keras, as a server would. For the first test image of each class its scores differ "
        f"from those of the Keras model by at most {served.max_difference:.1g}."
    )
    captions = [
        f"{demo_runs.CLASS_NAMES[label]}: served as {predicted} ({np.max(scores):.2f})"
        for label, predicted, scores in zip(
            result.served_examples[1], served.outputs["labels"], served.outputs["scores"]
        )
    ]
    report.pictures(result.served_examples[0], captions)
    folder = os.path.dirname(result.export_path)
    name = os.path.basename(folder)
    mounted = folder if os.path.isabs(folder) else f"$PWD/{folder}"
    report.text("In Python, without a server:")
    report.code(
        "import tf_transfer as tft\n\n"
        f'served = tft.serving.load("{folder}")\n'
        'served.predict_bytes([open("digit.png", "rb").read()])  # {"scores": ..., "labels": ...}'
    )
    report.text("With TensorFlow Serving:")
    report.code(
        f'docker run -p 8501:8501 -v "{mounted}:/models/{name}" -e MODEL_NAME={name} tensorflow/serving\n\n'
        """echo '{"signature_name": "serving_bytes", "instances": [{"image_bytes": {"b64": "'"""
        """"$(base64 -w0 digit.png)"'"}}]}' |\n"""
        f"  curl -d @- localhost:8501/v1/models/{name}:predict"
    )


def _how(report, result):
    num_train, num_validation = _labels_per_class(result)
    report.section("How it was made")
    report.text(
        f"A seed draws {num_train + num_validation} labelled images a class: {num_train} to train, {num_validation} to "
        "validate, by which the best weights are kept and the exported model was chosen. All other images are the "
        "test, which chooses nothing. All ways have the same architecture and see the same labelled images; from "
        "scratch, the encoder's weights are drawn anew and everything trains, once exactly as in the second phase of "
        "fine-tuning, and once, tuned, at a rate and for epochs of its own."
    )
    report.text(
        "The rates and epochs of each way were set after a small cross-validation inside the labelled images of other "
        "draws (seeds 100 and 101), before the test was looked at. They are arguments of tft.fine_tune:"
    )
    settings = {method: demo_runs.recipe(method) for method in demo_runs.RECIPES}
    names = list(dict.fromkeys(name for options in settings.values() for name in options))
    report.table(
        ["", *settings], [[name, *(str(options.get(name, "")) for options in settings.values())] for name in names]
    )
    seconds = sum(run.seconds for run in result.runs)
    report.table(
        ["made with", ""],
        [
            ["tf-transfer", __version__],
            ["TensorFlow", tf.__version__],
            ["Keras", keras.__version__],
            ["scikit-learn", importlib.metadata.version("scikit-learn")],
            ["Python", platform.python_version()],
            ["machine", f"{os.cpu_count()} cores, {platform.machine()}"],
            ["seeds", _seeds(result.runs)],
            ["trainings", f"{len(result.runs)}, {seconds:.0f} seconds"],
        ],
    )
    report.text("To make it again:")
    report.code("tf-transfer demo")


def _labels_per_class(result):
    parts = (result.best.digits.train, result.best.digits.validation)
    return [len(labels) // len(demo_runs.CLASS_NAMES) for _, labels in parts]


def _seeds(runs):
    return ", ".join(str(seed) for seed in dict.fromkeys(run.seed for run in runs))

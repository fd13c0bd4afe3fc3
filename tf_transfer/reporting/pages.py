"""One page about a trained model: what it is, how good, where it is wrong, what it looks at, what it costs."""

import os

from tf_transfer.reporting import evaluation_sections as evaluated
from tf_transfer.reporting import explanation_sections as explained
from tf_transfer.reporting import label_sections as labelled
from tf_transfer.reporting import serving_sections as served
from tf_transfer.reporting import summary_sections as summed
from tf_transfer.reporting.domain_sections import domains
from tf_transfer.reporting.html_report import HTMLReport

# Each adds nothing where it has nothing true to say.
_FIRST = (summed.in_short, summed.made_from, summed.made_how)
# Of a model of several outputs they stand once for each.
_OF_AN_OUTPUT = (
    evaluated.classes,
    evaluated.calibration,
    labelled.labels,
    labelled.calibration,
    evaluated.predictions,
    evaluated.mistakes,
    labelled.mistakes,
    explained.where_it_looks,
    labelled.where_it_looks,
    explained.words,
    explained.columns,
)
_LAST = (
    explained.moved,
    domains,
    served.cost,
    served.serving,
    served.made_with,
)


def write_page(subject, path, title=None):
    """Writes the page about a `Subject` and returns its path.

    Args:
        subject: `Subject`.
        path: String or path of the file.
        title: String. Defaults to the name of the run, or of the model.
    """
    if title is None:
        named = subject.model.name if subject.run is None else os.path.basename(os.path.abspath(subject.run.path))
        title = f"{named}: what it knows"
    page = HTMLReport(title)
    for section in _FIRST:
        section(page, subject)
    for part in subject.parts or (subject,):
        for section in (summed.in_short, *_OF_AN_OUTPUT) if subject.parts else _OF_AN_OUTPUT:
            section(page, part)
    for section in _LAST:
        section(page, subject)
    return page.save(path)


def check_page(path):
    """Raises when the page could not be written, before anything else is done."""
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path) or (os.path.isdir(folder) and not os.access(folder, os.W_OK)):
        raise OSError(f"`path` must be a file that can be written. Received: {os.fspath(path)!r}.")

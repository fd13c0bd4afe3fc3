"""One HTML file that tells what a training gave, readable without a network and on a phone."""

import base64
import html
import io
import os

import numpy as np
import tensorflow as tf

from tf_transfer import _files
from tf_transfer.reporting.page import framed, heading

# Longer cells are wrapped, so that a table of texts is not as wide as the longest of them.
_LONG_CELL = 24
_BROAD_INCHES = 6.5
_LARGEST_PICTURE, _SMALL_PICTURE = 320, 64


class HTMLReport:
    """Writes a page of sections with text, tables, code, figures and pictures.

    The page is one file: its style and its images are inside, and it loads nothing. It follows the reader's light or
    dark theme and the width of the screen, and prints. Whatever is given as text appears as that text, never as HTML.
    Each method that adds something returns the report.

    Args:
        title: String, the heading of the page.

    Example:

    >>> report = HTMLReport("Flowers & leaves").section("Results").text("Measured on 100 images.")
    >>> report = report.table(["method", "accuracy"], [["frozen", 0.91], ["fine-tuned", 0.95]], best=1)
    >>> path = report.save("report.html")
    >>> "<h1>Flowers &amp; leaves</h1>" in open(path).read()
    True
    """

    def __init__(self, title):
        self.title = str(title)
        self.sections = []
        self._parts = []

    def section(self, title):
        """Begins a section with a heading."""
        self.sections.append(str(title))
        return self._add(heading(str(title)))

    def text(self, text):
        """Adds a paragraph; an empty line in the text begins another."""
        for paragraph in str(text).split("\n\n"):
            self._add(f"<p>{_text(paragraph)}</p>")
        return self

    def code(self, text):
        """Adds lines to type or to read as they stand."""
        # What scrolls sideways must be reached by the keyboard too.
        return self._add(f'<pre tabindex="0">{_text(text)}</pre>')

    def facts(self, facts):
        """Adds figures that are to be seen first, each in a box of its own.

        Args:
            facts: Sequence of (name, value, note), strings; an empty note is left out.
        """
        boxes = []
        for name, value, note in facts:
            below = f'<dd class="note">{_text(note)}</dd>' if note else ""
            boxes.append(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd>{below}</div>")
        return self._add(f'<dl class="facts">{"".join(boxes)}</dl>')

    def table(self, header, rows, *, best=None, caption=None):
        """Adds a table.

        Args:
            header: Sequence of strings, the names of the columns.
            rows: Sequence of rows of the same length. Floats get three digits, NaN and None a dash; columns of
                numbers, or of strings that begin with a digit, are aligned to the right.
            best: Integer, index of a row to mark. Defaults to None.
            caption: String below the table. Defaults to None.
        """
        rows = [list(row) for row in rows]
        if any(len(row) != len(header) for row in rows):
            raise ValueError(f"Every row must have {len(header)} cells, as {list(header)} has. Received: {rows}.")
        kinds = [_kind([row[index] for row in rows]) for index in range(len(header))]
        head = "".join(f'<th scope="col"{kind}>{_text(name)}</th>' for name, kind in zip(header, kinds))
        lines = [f"<tr>{head}</tr>"]
        for index, row in enumerate(rows):
            cells = "".join(f"<td{kind}>{_text(_cell(cell))}</td>" for cell, kind in zip(row, kinds))
            lines.append(f'<tr class="best">{cells}</tr>' if index == best else f"<tr>{cells}</tr>")
        below = f"<figcaption>{_text(caption)}</figcaption>" if caption else ""
        made = f'<div class="wide" tabindex="0"><table>{"".join(lines)}</table></div>{below}'
        return self._add(f"<figure>{made}</figure>" if caption else made)

    def pairs(self, rows, *, folded=None):
        """Adds names with a value each.

        Args:
            rows: Sequence of (name, value).
            folded: String, what they are called while they are folded up, for what few readers want. Defaults to
                None: they are open.
        """
        lines = [
            f'<tr><th scope="row">{_text(name)}</th><td class="text">{_text(value)}</td></tr>' for name, value in rows
        ]
        return self._add(_folded(f'<div class="wide" tabindex="0"><table>{"".join(lines)}</table></div>', folded))

    def figure(self, figure, description):
        """Adds a figure.

        Args:
            figure: A `matplotlib.figure.Figure`, or a list of them, side by side where the screen has room.
            description: String that stands below, and that a screen reader reads.
        """
        figures = figure if isinstance(figure, list | tuple) else [figure]
        images = "".join(_image(_png(each), description, each.get_figwidth()) for each in figures)
        # On a phone a broad figure scrolls, since its words would be too small at the width of the screen.
        broad = " broad" if any(_is_broad(each) for each in figures) else ""
        plots = f'<div class="plots{broad}"{" tabindex=0" if broad else ""}>{images}</div>'
        return self._add(f"<figure>{plots}<figcaption>{_text(description)}</figcaption></figure>")

    def pictures(self, images, captions, sounds=None):
        """Adds images side by side, each over its caption.

        Args:
            images: Array of shape `(num_images, height, width, channels)`, or list of such images, 1 or 3 channels,
                values in 0..255.
            captions: Sequence of `num_images` strings.
            sounds: Sequence of `num_images` byte strings, WAV files to play below the images. Defaults to None.
        """
        if len(images) != len(captions):
            raise ValueError(f"Every image needs a caption. Received: {len(images)} images, {len(captions)} captions.")
        figures = []
        for image, caption, sound in zip(images, captions, [None] * len(captions) if sounds is None else sounds):
            parts = [_picture(np.asarray(image), caption)]
            if sound is not None:
                source = f"data:audio/wav;base64,{base64.b64encode(sound).decode('ascii')}"
                parts.append(f'<audio controls preload="none" aria-label="{_text(caption)}" src="{source}"></audio>')
            figures.append(f"<figure>{''.join(parts)}<figcaption>{_text(caption)}</figcaption></figure>")
        return self._add(f'<div class="pictures">{"".join(figures)}</div>')

    def words(self, attributions, caption):
        """Adds a text whose words are marked by what they did for a class.

        Args:
            attributions: `tft.analysis.WordAttributions`.
            caption: String that stands below.
        """
        marked = attributions.to_html()
        return self._add(f'<figure><p class="words">{marked}</p><figcaption>{_text(caption)}</figcaption></figure>')

    def to_html(self):
        """Returns the page."""
        return framed(self.title, self.sections, "\n".join(self._parts))

    def save(self, path):
        """Writes the page, whole or not at all, and returns its path."""
        path = os.fspath(path)
        if os.path.isdir(path):
            raise IsADirectoryError(f"The report must be a file such as 'report.html'. Received: {path!r}, a folder.")
        folder = os.path.dirname(os.path.abspath(path))
        os.makedirs(folder, exist_ok=True)
        _files.write_text(path, self.to_html())
        return path

    def _add(self, part):
        self._parts.append(part)
        return self


def _text(value):
    return html.escape(str(value), quote=True)


def _png(figure):
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=144)
    return picture.getvalue()


def _is_broad(figure):
    width, height = figure.get_size_inches()
    return width > _BROAD_INCHES and width > 1.3 * height


def _image(png, description, width=None):
    # Drawn at twice the density of the page, so that it stays sharp on a phone.
    size = f' width="{round(width * 72)}"' if width else ""
    content = base64.b64encode(png).decode("ascii")
    return f'<img{size} alt="{_text(description)}" src="data:image/png;base64,{content}">'


def _picture(image, description):
    side = max(image.shape[:2])
    if side > _LARGEST_PICTURE:
        size = [max(1, round(length * _LARGEST_PICTURE / side)) for length in image.shape[:2]]
        image = tf.image.resize(image, size, method="area").numpy()
    made = _image(tf.io.encode_png(np.clip(image, 0, 255).astype("uint8")).numpy(), description)
    # Enlarged, a few pixels should stay pixels.
    return made.replace("<img", '<img class="small"', 1) if side <= _SMALL_PICTURE else made


def _folded(made, name):
    return made if name is None else f"<details><summary>{_text(name)}</summary>{made}</details>"


def _kind(cells):
    if cells and all(_is_number(cell) for cell in cells):
        return ' class="number"'
    return ' class="text"' if any(len(str(cell)) > _LONG_CELL for cell in cells) else ""


def _is_number(cell):
    if cell is None or isinstance(cell, int | float | np.number):
        return True
    return isinstance(cell, str) and cell[:1].isdigit() and len(cell) <= _LONG_CELL


def _cell(cell):
    if cell is None or cell != cell:
        return "\N{EN DASH}"
    return f"{cell:.3f}" if isinstance(cell, float | np.floating) else cell

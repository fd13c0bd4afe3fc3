"""One HTML file that tells what a training gave, readable without a network and on a phone."""

import base64
import html
import io
import os

import numpy as np
import tensorflow as tf

from tf_transfer import _files

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""

_STYLE = """:root { color-scheme: light dark; --line: #d5d9e0; --soft: #f3f5f8; --quiet: #5b6472; --accent: #1f5fbf; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3a4150; --soft: #1f242d; --quiet: #a3acba; --accent: #8ab4f8; }
  body { background: #14181f; color: #e6e9ee; }
}
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 56rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0.5rem 0 1rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.75rem; padding-top: 1rem; border-top: 1px solid var(--line); }
p { margin: 0.75rem 0; max-width: 44rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.35rem 0.9rem 0.35rem 0; border-bottom: 1px solid var(--line); text-align: left; }
td { white-space: nowrap; }
th { font-weight: 600; color: var(--quiet); vertical-align: bottom; }
td.number, th.number { text-align: right; }
tr.best td { font-weight: 700; color: var(--accent); }
pre { background: var(--soft); border-radius: 8px; padding: 0.8rem 1rem; overflow-x: auto; font-size: 0.875rem; }
figure { margin: 1rem 0; }
@media (max-width: 40rem) { table { font-size: 0.875rem; } th, td { padding-right: 0.6rem; } }
.plots { display: flex; flex-wrap: wrap; gap: 0.75rem; }
.plots img { max-width: 100%; height: auto; background: #fff; border-radius: 8px; }
.plots figcaption { flex-basis: 100%; }
figcaption, caption { color: var(--quiet); font-size: 0.875rem; text-align: left; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: 1rem; }
.pictures figure { margin: 0; }
.pictures img { width: 100%; image-rendering: pixelated; border-radius: 6px; display: block; background: #000; }
.pictures figcaption { line-height: 1.35; margin-top: 0.3rem; }
"""


class HTMLReport:
    """Writes a page of sections with text, tables, code, figures and pictures.

    The page is one file: its style and its images are inside, and it loads nothing. It follows the reader's light or
    dark theme and the width of the screen. Whatever is given as text appears as that text, never as HTML. Each method
    that adds something returns the report.

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
        self._parts = []

    def section(self, title):
        """Begins a section with a heading."""
        return self._add(f"<h2>{_text(title)}</h2>")

    def text(self, text):
        """Adds a paragraph; an empty line in the text begins another."""
        for paragraph in str(text).split("\n\n"):
            self._add(f"<p>{_text(paragraph)}</p>")
        return self

    def code(self, text):
        """Adds lines to type or to read as they stand."""
        return self._add(f"<pre>{_text(text)}</pre>")

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
        columns = [[row[index] for row in rows] for index in range(len(header))]
        kinds = [' class="number"' if rows and all(_is_number(cell) for cell in column) else "" for column in columns]
        head = "".join(f"<th{kind}>{_text(name)}</th>" for name, kind in zip(header, kinds))
        lines = [f"<tr>{head}</tr>"]
        for index, row in enumerate(rows):
            cells = "".join(f"<td{kind}>{_text(_cell(cell))}</td>" for cell, kind in zip(row, kinds))
            lines.append(f'<tr class="best">{cells}</tr>' if index == best else f"<tr>{cells}</tr>")
        below = f"<figcaption>{_text(caption)}</figcaption>" if caption else ""
        return self._add(f'<div class="wide"><table>{"".join(lines)}</table>{below}</div>')

    def figure(self, figure, description):
        """Adds a figure.

        Args:
            figure: A `matplotlib.figure.Figure`, or a list of them, side by side where the screen has room.
            description: String that stands below, and that a screen reader reads.
        """
        figures = figure if isinstance(figure, list | tuple) else [figure]
        images = "".join(_image(_png(each), description, each.get_figwidth()) for each in figures)
        return self._add(f'<figure class="plots">{images}<figcaption>{_text(description)}</figcaption></figure>')

    def pictures(self, images, captions):
        """Adds images side by side, each over its caption.

        Args:
            images: Array of shape `(num_images, height, width, channels)`, 1 or 3 channels, values in 0..255.
            captions: Sequence of `num_images` strings.
        """
        if len(images) != len(captions):
            raise ValueError(f"Every image needs a caption. Received: {len(images)} images, {len(captions)} captions.")
        figures = []
        for image, caption in zip(images, captions):
            png = tf.io.encode_png(np.clip(np.asarray(image), 0, 255).astype("uint8")).numpy()
            figures.append(f"<figure>{_image(png, caption)}<figcaption>{_text(caption)}</figcaption></figure>")
        return self._add(f'<div class="pictures">{"".join(figures)}</div>')

    def to_html(self):
        """Returns the page."""
        return _PAGE.format(title=_text(self.title), style=_STYLE, body="\n".join(self._parts))

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


def _image(png, description, width=None):
    # Drawn at twice the density of the page, so that it stays sharp on a phone.
    size = f' width="{round(width * 72)}"' if width else ""
    content = base64.b64encode(png).decode("ascii")
    return f'<img{size} alt="{_text(description)}" src="data:image/png;base64,{content}">'


def _is_number(cell):
    if cell is None or isinstance(cell, int | float | np.number):
        return True
    return isinstance(cell, str) and cell[:1].isdigit()


def _cell(cell):
    if cell is None or cell != cell:
        return "\N{EN DASH}"
    return f"{cell:.3f}" if isinstance(cell, float | np.floating) else cell

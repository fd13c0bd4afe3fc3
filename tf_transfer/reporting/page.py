"""What surrounds the sections of a report: the frame of the page and its style."""

import html
import re

# A page with fewer sections is seen at once.
_FEWEST_WITH_CONTENTS = 4

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; media-src data:; \
style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{contents}{body}
</main>
</body>
</html>
"""

_STYLE = """:root { color-scheme: light dark; --line: #d5d9e0; --soft: #f3f5f8; --quiet: #555e6c; --accent: #1a56b0; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3a4150; --soft: #1f242d; --quiet: #a9b2c0; --accent: #8ab4f8; }
  body { background: #14181f; color: #e6e9ee; }
  .plots img { opacity: 0.92; }
  .words span { color: #fff; }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; -webkit-text-size-adjust: 100%; }
body { margin: 0; font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 56rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0.5rem 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.75rem; padding-top: 1rem; border-top: 1px solid var(--line); }
a { color: var(--accent); text-underline-offset: 0.15em; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: 0.3rem 1rem; margin: 0 0 1rem; padding: 0; }
nav li { font-size: 0.875rem; padding: 0.15rem 0; }
p { margin: 0.75rem 0; max-width: 44rem; overflow-wrap: anywhere; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 0.75rem; margin: 1rem 0; }
.facts div { background: var(--soft); border-radius: 10px; padding: 0.7rem 0.9rem; }
.facts dt { color: var(--quiet); font-size: 0.8125rem; }
.facts dd { margin: 0; font-size: 1.5rem; line-height: 1.3; font-weight: 650; font-variant-numeric: tabular-nums; }
.facts dd.note { font-size: 0.8125rem; font-weight: 400; color: var(--quiet); }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.35rem 0.9rem 0.35rem 0; border-bottom: 1px solid var(--line); text-align: left; }
td { white-space: nowrap; vertical-align: top; }
td.text { white-space: normal; min-width: 13rem; overflow-wrap: anywhere; }
th { font-weight: 600; color: var(--quiet); vertical-align: bottom; }
td.number, th.number { text-align: right; }
tr.best td { font-weight: 700; color: var(--accent); }
pre { background: var(--soft); border-radius: 8px; padding: 0.8rem 1rem; overflow-x: auto; font-size: 0.875rem; }
details { margin: 1rem 0; }
summary { cursor: pointer; color: var(--accent); }
figure { margin: 1rem 0; }
@media (max-width: 40rem) {
  table { font-size: 0.875rem; }
  th, td { padding-right: 0.6rem; }
  td.text { min-width: 8.5rem; }
}
.plots { display: flex; flex-wrap: wrap; gap: 0.75rem; }
.plots img { max-width: 100%; height: auto; background: #fff; border-radius: 8px; }
@media (max-width: 40rem) {
  .plots.broad { overflow-x: auto; flex-wrap: nowrap; }
  .plots.broad img { max-width: none; width: 38rem; }
}
th[scope="row"] { vertical-align: top; font-weight: 400; white-space: nowrap; }
figcaption { margin-top: 0.5rem; color: var(--quiet); font-size: 0.875rem; text-align: left; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: 1rem; }
.pictures figure { margin: 0; min-width: 0; }
.pictures img { width: 100%; border-radius: 6px; display: block; background: #000; }
.pictures img.small { image-rendering: pixelated; }
.pictures audio { width: 100%; height: 2rem; margin-top: 0.3rem; }
.pictures figcaption { line-height: 1.35; margin-top: 0.3rem; overflow-wrap: anywhere; }
.words { line-height: 1.9; }
.words span { border-radius: 3px; padding: 0.1em 0.15em; }
@media print {
  main { max-width: none; padding: 0; }
  nav, audio { display: none; }
  h2 { break-after: avoid; }
  figure, tr, .facts div { break-inside: avoid; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  .wide { overflow: visible; }
}
"""


def framed(title, sections, body):
    """Returns the whole page.

    Args:
        title: String.
        sections: List of the headings in it.
        body: HTML, with the headings as `heading` gives them.
    """
    contents = ""
    if len(sections) >= _FEWEST_WITH_CONTENTS:
        links = "".join(f'<li><a href="#{anchor(name)}">{html.escape(name)}</a></li>' for name in sections)
        contents = f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n'
    return _PAGE.format(title=html.escape(title), style=_STYLE, contents=contents, body=body)


def heading(title):
    """Returns the heading of a section."""
    return f'<h2 id="{anchor(title)}">{html.escape(title)}</h2>'


def anchor(title):
    """Returns what a link to a section is made of: letters, digits and hyphens."""
    return re.sub(r"\W+", "-", title.lower()).strip("-") or "section"

"""A report as text, as Markdown, and as JSON."""

from __future__ import annotations

from typing import Any

from bench import machine as machines
from bench.framework import Report

_OF_FLOOR = "of floor"


def to_json(report: Report, machine: dict[str, Any]) -> dict[str, Any]:
    """Return the report as an object for JSON: medians, and the figures of every round."""
    return {
        "bench": report.name,
        "claim": report.claim,
        "machine": machine,
        "rows": [
            {
                "name": row.name,
                "role": row.role,
                "medians": {column: row.median(column) for column in row.columns},
                "of_floor": report.ratio(row),
                "does_not_promise": row.note,
                "rounds": row.samples,
            }
            for row in report.rows
        ],
        "skipped": report.skipped,
        "remarks": report.remarks,
    }


def to_text(report: Report, machine: dict[str, Any]) -> str:
    """Return the report for a terminal."""
    table = _table(report)
    widths = [max(len(cells[column]) for cells in table) for column in range(len(table[0]))]
    lines = [f"{report.name}: {report.claim}", f"on {machines.sentence(machine)}", ""]
    for cells in table:
        first, *others = zip(cells, widths, strict=True)
        lines.append("  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip())
    lines += ["", *_notes(report)]
    return "\n".join([*lines, *report.remarks, *_skipped(report)]).rstrip() + "\n"


def to_markdown(report: Report, machine: dict[str, Any], made: str, plot: str) -> str:
    """Return the report as a Markdown page.

    :param made: by what, and when.
    :param plot: the picture's file.
    """
    head, *body = _table(report)
    lines = [f"# {report.name}", "", f"{report.claim}", "", f"Made by {made}, on {machines.sentence(machine)}.", ""]
    lines += [_cells(head), _cells(["---", *("---:" for _ in head[1:])]), *(_cells(cells) for cells in body), ""]
    lines += [f"- {text}" for text in (*_notes(report), *report.remarks, *_skipped(report))]
    lines += ["", f"![{report.name}]({plot})"]
    return "\n".join(lines).rstrip() + "\n"


def number(value: float | None) -> str:
    """Write a figure with as many digits as it deserves."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:,.2f}"


def _notes(report: Report) -> list[str]:
    """Return what rows do not promise, once for all rows that it is said of."""
    names: dict[str, list[str]] = {}
    for row in report.rows:
        if row.note:
            names.setdefault(row.note, []).append(row.name)
    return [f"{'; '.join(rows)}: {note}" for note, rows in names.items()]


def _skipped(report: Report) -> list[str]:
    return [f"skipped: {sentence}" for sentence in report.skipped]


def _table(report: Report) -> list[list[str]]:
    columns = report.columns
    ratios = report.floor is not None
    ranges = any(len(row.samples) > 1 for row in report.rows)
    head = ["", *columns[:1], *(["range"] if ranges else []), *([_OF_FLOOR] if ratios else []), *columns[1:]]
    table = [head]
    for row in report.rows:
        cells = [row.name, number(row.median(columns[0]))]
        if ranges:
            main = row.figures(columns[0])
            cells.append(f"{number(min(main))} to {number(max(main))}" if main else "")
        if ratios:
            ratio = report.ratio(row)
            cells.append("" if ratio is None else f"{ratio:.3g}")
        table.append([*cells, *(number(row.median(column)) for column in columns[1:])])
    return table


def _cells(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"

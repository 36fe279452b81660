"""Which cells of the paper's tables a claim compares: a label, the cell that should be the lower, and the higher."""

from dropnas.report.printed import layout

Place = tuple[str, str, str]  # table, row, column


def spaces() -> list[tuple[str, Place, Place]]:
    """Table 4: DropNAS against one-level DARTS in each space."""
    return [
        (" ".join(row.heads), ("table4", row.key, "dropnas"), ("table4", row.key, "one-level-darts"))
        for row in layout("table4").rows
    ]


def pairs_of_rates() -> list[tuple[str, Place, Place]]:
    """Table 5: 3e-5 for both groups against each other pair of rates."""
    paper = layout("table5")
    cells = [(row.key, column.key) for row in paper.rows for column in paper.columns]
    best: Place = ("table5", "3e-5", "3e-5")
    others = [(row, column) for row, column in cells if (row, column) != best[1:]]
    return [(f"O_np {row}, O_p {column}", best, ("table5", row, column)) for row, column in others]


def ablations() -> list[tuple[str, Place, Place]]:
    """Table 6: DropNAS against each ablation."""
    paper = layout("table6")
    return [
        (f"{row.heads[0]} {column.header[1]}", ("table6", row.key, "dropnas"), ("table6", row.key, column.key))
        for row in paper.rows
        for column in paper.columns
        if column.key != "dropnas"
    ]

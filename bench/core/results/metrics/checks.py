"""What a run's checks of itself measure. `bench.analysis.checks` gives the rows, beside what they mean for the run."""

from __future__ import annotations

from bench.core.results.metrics.metric import PAIRED, Metric, ReportPlace

METRICS = (
    Metric(
        "aa",
        "ratio",
        "A/A pairs, in which both trials are of the same delivery: total of arm a / total of arm b - 1, Hodges-Lehmann "
        "on the log scale, by cell and of all cells together. Under load each two segments are one difference.",
        better="neither",
        of="pairs",
        deliveries=PAIRED,
        places=(ReportPlace("checks", 1, "a delivery against itself (A/A)", delivery="paired", statistic="hl"),),
    ),
    Metric(
        "aa_ttfu",
        "ratio",
        "The same of the first useful output, of the streamed A/A pairs of all cells together.",
        better="neither",
        of="pairs",
        deliveries=PAIRED,
        places=(ReportPlace("checks", 2, "first useful against itself (A/A)", delivery="paired", statistic="hl"),),
    ),
    Metric(
        "trend",
        "ratio",
        "By what fraction the total changed from the start of the run to its end: Theil-Sen slope of log(total) minus "
        "its median in the same cell and delivery, over the run's time as 0 to 1, by cell and of all cells together.",
        better="neither",
        deliveries=("streamed", "blocking", "paired"),
        places=(
            ReportPlace("checks", 4, "from the start of the run to its end", delivery="paired", statistic="slope"),
        ),
    ),
    Metric(
        "order_effect",
        "ratio",
        "By what fraction the second trial of a pair takes longer than it would as the first: half of the shift "
        "(Hodges-Lehmann, Mann-Whitney) of log(streamed total / blocking total) between the two orders.",
        better="neither",
        of="pairs",
        deliveries=PAIRED,
        cell_rows=lambda _, cell: cell.order.rows,
        csv_order=9,
        places=(ReportPlace("checks", 3, "the second of a pair against the first", delivery="paired", statistic="hl"),),
    ),
    Metric(
        "warm_share",
        "share",
        "First attempts over a connection that had carried a request before / all first attempts over HTTP.",
        better="neither",
        of="cell",
        cell_rows=lambda _, cell: cell.connections.rows,
        csv_order=10,
        places=(ReportPlace("checks", 7, "requests over a connection that was open", delivery="", statistic="share"),),
    ),
)

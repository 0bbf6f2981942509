"""Segments of households by how lately, how often and for how much they buy; no Dagster here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

from batch.tables import as_csv, as_markdown

NAMES = ("occasional", "regular", "loyal", "best")
"""Segments by what their households spend, least first. With fewer households than that, the last names are used."""


@dataclass(frozen=True)
class Household:
    """What a household did so far; US dollars."""

    household_id: int
    last_business_date: date
    baskets: int
    sales_value: Decimal

    def features(self, as_of: date) -> tuple[float, float, float]:
        """Days since the last purchase, baskets, dollars. A purchase later than `as_of` counts as one of that day, and
        who has returned more than bought has spent nothing."""
        days = (as_of - self.last_business_date).days
        return max(0, days), self.baskets, max(0.0, float(self.sales_value))


@dataclass(frozen=True)
class SegmentModel:
    """A trained model, as Dagster's IO manager passes it on: pickled, so only between runs of the same packages."""

    pipeline: Any
    names: tuple[str, ...]
    """Name of each cluster, by the pipeline's number of it."""
    households: int

    def segments(self, features: Sequence[tuple[float, float, float]]) -> list[str]:
        """The segment of each household."""
        return [self.names[cluster] for cluster in self.pipeline.predict(features)]


@dataclass(frozen=True)
class Segment:
    """A segment as a whole; US dollars."""

    name: str
    households: int
    baskets: int
    sales_value: Decimal


def read_households(connection: duckdb.DuckDBPyConnection) -> list[Household]:
    """All households with a purchase, by number."""
    rows = connection.execute(
        "SELECT household_id, last_business_date, baskets, sales_value FROM lake.marts.household_spend ORDER BY 1"
    ).fetchall()
    return [Household(*row) for row in rows]


def train(households: Sequence[Household], as_of: date) -> SegmentModel:
    """Finds the segments, the same ones for the same households. ValueError without households."""
    import numpy
    from sklearn.cluster import KMeans
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    if not households:
        raise ValueError("there is no household to learn from")
    features = [household.features(as_of) for household in households]
    clusters = min(len(NAMES), len({*features}))
    pipeline = make_pipeline(
        FunctionTransformer(numpy.log1p), StandardScaler(), KMeans(clusters, n_init=10, random_state=0)
    )
    found = pipeline.fit_predict(features)
    spent = [float(numpy.mean([f[2] for f, c in zip(features, found, strict=True) if c == n])) for n in range(clusters)]
    by_spend = sorted(range(clusters), key=lambda cluster: spent[cluster])
    named = dict(zip(by_spend, NAMES[-clusters:], strict=True))
    return SegmentModel(pipeline, tuple(named[cluster] for cluster in range(clusters)), len(households))


def score(
    model: SegmentModel, households: Sequence[Household], as_of: date, batch_size: int
) -> Iterator[tuple[Household, str]]:
    """Each household with its segment, `batch_size` at a time: smaller batches leave more of the machine to others."""
    for first in range(0, len(households), batch_size):
        batch = households[first : first + batch_size]
        yield from zip(batch, model.segments([h.features(as_of) for h in batch]), strict=True)


def summary(scored: Sequence[tuple[Household, str]]) -> list[Segment]:
    """The segments, least spending first."""
    return [
        Segment(
            name,
            len(members),
            sum(household.baskets for household in members),
            sum((household.sales_value for household in members), Decimal(0)),
        )
        for name in NAMES
        if (members := [household for household, segment in scored if segment == name])
    ]


def to_csv(scored: Sequence[tuple[Household, str]]) -> str:
    """A header and a line a household."""
    return as_csv(("household_id", "segment"), ((household.household_id, segment) for household, segment in scored))


def to_markdown(segments: Sequence[Segment]) -> str:
    """The segments for Dagster's UI."""
    rows = [(s.name, f"{s.households:,}", f"{s.baskets:,}", f"{s.sales_value:,.2f}") for s in segments]
    return as_markdown(("segment", "households", "baskets", "sales, $"), rows)

"""The weekly report: each figure of the page is the source's, and the page needs nothing but itself."""

import base64
import hashlib
import os
import pickle
import re
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from batch.definitions import defs
from batch.promotion_lift import Placement
from batch.sales_report import UI_MARKDOWN_LIMIT
from batch.series import WEEKLY_REPORT
from batch.weekly_page import picture, render_html, thumbnail
from batch.weekly_report import Coupons, Day, Figures, Households, Store, Week, change, to_markdown
from platform_shared.contracts import COUPON_USAGE, DAILY_SALES, HOUSEHOLD_DAYS, PROMOTION_LIFT
from platform_shared.partitions import BUSINESS_DAYS, COMPLETE_WEEKS, FIRST_BUSINESS_DATE

from .conftest import FIRST, days

pytestmark = pytest.mark.timeout(600)

WEEK = timedelta(days=7)
DAILY = (DAILY_SALES, COUPON_USAGE, HOUSEHOLD_DAYS)
REFERENCES = ("src", "href", "xlink:href", "srcset", "action")
PNG = b"\x89PNG\r\n"


class Page(HTMLParser):
    """The words of a page, its tables by their names, and what it refers to."""

    def __init__(self, html):
        super().__init__()
        self.tables, self.words, self.refers, self.tags = {}, [], [], Counter()
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags[tag] += 1
        found = dict(attributes)
        self.refers += [
            (name, found[name]) for name in ("src", "href", "xlink:href", "srcset", "action") if name in found
        ]
        if found.get("role") == "region":
            self.rows = self.tables.setdefault(found["aria-label"], [])
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_data(self, data):
        self.words.append(data.strip())
        if self.lasttag in {"td", "th"} and data.strip():
            self.rows[-1][-1] += data.strip()


def built(shop):
    return shop.daemon.materialized(WEEKLY_REPORT.key)


def page(shop, monday):
    return Page(shop.told(f"weekly_report/{monday}.html"))


def arrives(shop, first, last):
    for contract in DAILY:
        shop.arrives(contract, *days(first, last))


def per_cent(now, before):
    return f"{Decimal(now - before) * 100 / Decimal(before):+,.1f}%"


def test_figures_are_exact(shop, source):
    """From the lines, one by one and in cents."""
    before, now = FIRST, FIRST + WEEK
    arrives(shop, FIRST - WEEK, now + timedelta(days=6))
    shop.arrives(PROMOTION_LIFT, before, now)
    assert len(shop.fill("weekly_report_gap_sensor", looks=2)) == 1
    assert built(shop) == [str(before), str(now)]

    by_day, by_store, households = Counter(), defaultdict(Counter), defaultdict(set)
    baskets, coupon, makers, stores_paid, lines = defaultdict(set), defaultdict(set), Counter(), Counter(), Counter()
    for day, store, household, basket, sold, maker, match in source.execute(
        "SELECT business_date, store_id, household_id, basket_id, (sales_value * 100)::BIGINT, "
        "(coupon_disc * 100)::BIGINT, (coupon_match_disc * 100)::BIGINT FROM lines"
    ).fetchall():
        monday = day - timedelta(days=day.weekday())
        by_day[day] += sold
        by_store[monday][store] += sold
        households[monday].add(household)
        baskets[monday].add((day, basket))
        lines[monday] += 1
        makers[monday] += maker
        stores_paid[monday] += match
        if maker + match:
            coupon[monday].add((day, store, basket))

    def money(cents):
        return f"{cents / Decimal(100):,.2f}"

    def row(name, this, last, text=money):
        return [name, text(this), text(last), per_cent(this, last)]

    found = page(shop, now)
    total = {monday: sum(by_day[monday + timedelta(days=n)] for n in range(7)) for monday in (before, now)}
    assert found.tables["Sales by day"][1:] == [
        *(row(f"{day:%a} {day.day}", by_day[day], by_day[day - WEEK]) for day in days(now, now + timedelta(days=6))),
        row("All", total[now], total[before]),
    ]
    best = sorted(by_store[now], key=lambda store: (-by_store[now][store], store))[:10]
    assert found.tables["Stores that sold most"][1:] == [
        row(str(store), by_store[now][store], by_store[before][store])
        if by_store[before][store]
        else [str(store), money(by_store[now][store]), "0.00", "-"]
        for store in best
    ]
    lost = {store: by_store[now][store] - by_store[before][store] for store in by_store[before]}
    assert [found.tables["Stores that lost most"][1:][n][3] for n in range(5)] == [
        money(cents) for cents in sorted(lost.values())[:5]
    ]
    whole = "{:,}".format
    shares = [f"{len(coupon[monday]) / len(baskets[monday]):.1%}" for monday in (now, before)]
    assert found.tables["Coupons"][1:] == [
        row("Baskets with one", len(coupon[now]), len(coupon[before]), whole),
        ["Of all baskets", *shares, ""],
        row("Makers paid, $", makers[now], makers[before]),
        row("Stores paid, $", stores_paid[now], stores_paid[before]),
    ]
    told = "|".join(filter(None, found.words))
    for figure, name, this, last in (
        (f"${money(total[now])}", "sales", total[now], total[before]),
        (whole(len(baskets[now])), "baskets", len(baskets[now]), len(baskets[before])),
        (whole(lines[now]), "order lines", lines[now], lines[before]),
        (whole(len(households[now])), "households", len(households[now]), len(households[before])),
        (str(len(by_store[now])), "stores", len(by_store[now]), len(by_store[before])),
    ):
        assert f"{figure}|{name}|{per_cent(this, last)}" in told
    assert f"{len(households[now] & households[before])} of the households had bought" in told
    assert page(shop, before).tables["Promotions"][1:] == [
        ["display", "10", "25.50", "1.67", "+4"],
        ["mailer", "0", "0.00", "-", "+0"],
    ]
    assert "There are no sales of the week before" in page(shop, before).words
    assert shop.told("weekly_report/latest.html") == shop.told(f"weekly_report/{now}.html")

    metadata = shop.daemon.materializations(WEEKLY_REPORT.key)[-1].asset_materialization.metadata
    assert metadata["sales_value"].value == total[now] / 100
    assert (shop.home.reports / f"weekly_report/{now}.png").read_bytes().startswith(PNG)

    # A late file of the first week counts in both: the second is compared with it.
    shop.arrives(DAILY_SALES, before)
    shop.daemon.advance(timedelta(minutes=10))
    shop.fill("weekly_report_gap_sensor", looks=2)
    assert built(shop)[2:] == [str(before), str(now)]

    # A week of the past that is made again, and one without sales that is newer, do not become the latest.
    shop.arrives(PROMOTION_LIFT, before)
    shop.daemon.advance(timedelta(minutes=10))
    shop.fill("weekly_report_gap_sensor", looks=2)
    assert built(shop)[4:] == [str(before)]
    assert shop.told("weekly_report/latest.html") == shop.told(f"weekly_report/{now}.html")
    shop.change(f"DELETE FROM lake.marts.daily_sales WHERE business_date >= DATE '{now}'")
    shop.arrives(DAILY_SALES, now)
    shop.daemon.advance(timedelta(minutes=10))
    shop.fill("weekly_report_gap_sensor", looks=2)
    assert built(shop)[5:] == [str(now)]
    assert "No sales in this week." in page(shop, now).words
    assert shop.told("weekly_report/latest.html") == shop.told(f"weekly_report/{before}.html")


def test_it_waits_for_all_that_it_shows_and_the_first_week_has_none_before_it(shop):
    first = FIRST_BUSINESS_DATE
    arrives(shop, first, first + timedelta(days=13))
    shop.arrives(PROMOTION_LIFT, first + WEEK)
    shop.fill("weekly_report_gap_sensor", looks=1)
    assert built(shop) == [str(first + WEEK)]
    shop.arrives(PROMOTION_LIFT, first)
    shop.daemon.advance(timedelta(minutes=10))
    shop.fill("weekly_report_gap_sensor", looks=1)
    assert built(shop) == [str(first + WEEK), str(first)]
    assert not [*shop.home.reports.glob("weekly_report/*")]
    metadata = shop.daemon.materializations(WEEKLY_REPORT.key)[-1].asset_materialization.metadata
    assert {name: metadata[name].value for name in ("sales_value", "baskets", "trading_days")} == {
        "sales_value": 0,
        "baskets": 0,
        "trading_days": 0,
    }
    assert "file" not in metadata


@pytest.mark.parametrize("monday", [FIRST_BUSINESS_DATE, FIRST_BUSINESS_DATE + WEEK, FIRST])
def test_lineage_is_of_what_is_read(monday):
    """Dagster draws and backfills by the days that healing waits for, also in the first week."""
    (spec,) = [spec for spec in defs().resolve_all_asset_specs() if spec.key == WEEKLY_REPORT.key]
    week = COMPLETE_WEEKS.subset_with_partition_keys([monday.isoformat()])
    mapped = {dep.asset_key: dep.partition_mapping for dep in spec.deps}
    assert mapped.keys() == {each.key for each in WEEKLY_REPORT.inputs}
    for each in WEEKLY_REPORT.inputs:
        if mapping := mapped[each.key]:
            found = mapping.get_upstream_mapped_partitions_result_for_partitions(
                week, COMPLETE_WEEKS, BUSINESS_DAYS, current_time=datetime(2026, 12, 7, 15, tzinfo=UTC)
            )
            assert [*found.partitions_subset.get_partition_keys()] == [*each.reads(monday.isoformat())]
            assert not [*found.required_but_nonexistent_subset.get_partition_keys()]


def figures(monday, sales, stores=3):
    values = [Decimal(value) for value in sales] + [Decimal(0)] * (7 - len(sales))
    traded = [stores if value else 0 for value in values]
    return Figures(
        tuple(Day(monday + timedelta(days=n), traded[n], 10, 5, values[n]) for n in range(7)),
        stores,
        Coupons(100, 7, Decimal("12.50"), Decimal("3.25")),
        Households(40, 30),
    )


def week(now=("100.10", "200", "300", "400", "500", "600", "700"), before=("90", "0", "310", "400", "1", "2", "3")):
    stores = tuple(Store(n, Decimal(1000 - n), Decimal(n * 100)) for n in range(14))
    placements = (Placement("<script>alert('&')</script>", 3, 10, Decimal("25.50"), 4, 8, 1.6667),)
    return Week(FIRST, figures(FIRST, now), figures(FIRST - WEEK, before), stores if any(now) else (), placements)


NOTHING = ()
WHOLE = ("100", "200", "300", "400", "500", "600", "700")


@pytest.mark.parametrize(
    ("shown", "plots"),
    [(week(), 2), (week(before=NOTHING), 2), (week(now=NOTHING), 0)],
    ids=["both weeks", "nothing before", "nothing"],
)
def test_the_page_stands_alone(shown, plots):
    html = render_html(shown)
    found = Page(html)
    assert "://" not in html
    assert [reference for reference in found.refers if not reference.startswith("#")] == []
    assert set(re.findall(r"url\(.?", html)) <= {"url(#"}
    assert not found.tags.keys() & {"script", "link", "iframe", "object", "img"}
    assert found.tags["svg"] == plots == html.count('role="img" aria-label="Bars of')
    ids = re.findall(r' id="([^"]*)"', html)
    assert len(ids) == len({*ids})
    assert ids or not plots
    assert '<meta name="viewport" content="width=device-width' in html
    assert "prefers-color-scheme: dark" in html


def test_colours_are_the_pages():
    """So that a dark page has a plot that can be read."""
    html = render_html(week())
    plot = html[html.index("<svg") : html.index("</svg>")]
    assert re.findall(r"#[0-9a-f]{6}\b", plot) == []
    assert {"var(--accent)", "var(--muted)", "var(--ink)"} <= {*re.findall(r"var\(--[a-z]*\)", plot)}


def test_what_comes_from_data_is_escaped():
    html = render_html(week())
    assert "<script" not in html
    assert "&lt;script&gt;alert(&#39;&amp;&#39;)" in html


@pytest.mark.parametrize(
    ("before", "words"),
    [(WHOLE, "The week before came to $2,800.00."), (["-12.5"], "The week before came to -$12.50.")],
)
def test_a_week_without_sales_says_so_and_no_more(before, words):
    found = Page(render_html(week(NOTHING, before)))
    assert "No sales in this week." in found.words
    assert words in found.words
    assert found.tables == {}


def cards(html):
    """The figures at the head of a page: each with what it is of and, if there is one, its change."""
    texts = re.findall(r"<li><b>(.*?)</b> (.*?)(?:<span>(.*?)</span>)?</li>", html)
    return {name: (figure, change) for figure, name, change in texts}


def test_weeks_of_as_many_days_are_compared():
    html = render_html(week(before=WHOLE))
    found = Page(html)
    assert cards(html)["sales"] == ("$2,800.10", "+0.0%")
    assert all(change for _, change in cards(html).values())
    assert found.tables["Sales by day"][-1] == ["All", "2,800.10", "2,800.00", "+0.0%"]
    assert found.tables["Stores that sold most"][0] == ["Store", "Week", "Before", "Change"]
    assert found.tables["Coupons"][0] == ["Coupons", "Week", "Before", "Change"]
    assert [row[0] for row in found.tables["Stores that lost most"][1:]] == ["13", "12", "11", "10"]
    assert found.words.count("week before") == 2


def test_weeks_of_different_days_are_compared_by_day_only():
    html = render_html(week())
    found = Page(html)
    assert "7 days with sales, 6 in the week before:" in found.words
    assert len(cards(html)) == 6
    assert not any(change for _, change in cards(html).values())
    assert "Below each figure" not in html
    days = found.tables["Sales by day"]
    assert days[1] == ["Mon 26", "100.10", "90.00", "+11.2%"]
    assert days[-1] == ["All", "2,800.10", "806.00", "-"]
    assert "Stores that lost most" not in found.tables
    assert [len(row) for row in found.tables["Stores that sold most"]] == [2] * 11
    assert [len(row) for row in found.tables["Coupons"]] == [2] * 5
    # In the plot of the days alone.
    assert found.words.count("week before") == 1


def test_a_week_with_none_before_it_is_not_beside_anything():
    shown = week(before=NOTHING)
    found = Page(render_html(shown))
    assert {len(row) for name in found.tables for row in found.tables[name] if name != "Promotions"} == {2}
    assert "week before" not in found.words
    assert "beside the week before" not in " ".join(found.words)
    assert "grey" not in thumbnail(shown)
    assert "var(--muted)" not in "".join(re.findall("<svg.*?</svg>", render_html(shown), re.DOTALL))


def test_stores_that_sold_nothing_are_not_among_those_that_sold_most():
    """They are among those that lost most."""
    stores = (Store(1, Decimal(5), Decimal(4)), Store(2, Decimal(0), Decimal(9)), Store(3, Decimal(-1), Decimal(1)))
    html = render_html(replace(week(before=WHOLE), stores=stores))
    found = Page(html)
    assert found.tables["Stores that sold most"][1:] == [["1", "5.00", "4.00", "+25.0%"]]
    assert "store 1" in html
    assert "store 2" not in html
    assert found.tables["Stores that lost most"][1:] == [
        ["2", "0.00", "9.00", "-9.00"],
        ["3", "-1.00", "1.00", "-2.00"],
    ]
    assert "Stores that sold most" not in Page(render_html(replace(week(before=WHOLE), stores=stores[2:]))).tables


def test_signs_stand_where_people_look_for_them():
    html = render_html(week(now=["-12.50"]))
    assert cards(html)["sales"][0] == "-$12.50"
    assert cards(html)["a basket"][0] == "-$0.36"
    nothing = Placement("display", 3, 10, Decimal(0), 1, 2, 1.0)
    lift = [replace(nothing, promoted_pairs=pairs, quantity=7, other_pairs=10) for pairs in (36, 40, 33)]
    rows = Page(render_html(replace(week(), placements=tuple(lift)))).tables["Promotions"][1:]
    assert [row[-1] for row in rows] == ["+0", "-1", "+0"]


def test_a_long_figure_stays_in_its_card():
    assert "overflow-wrap: anywhere" in re.search(r"\.figures b \{[^}]*\}", render_html(week()))[0]
    assert "nowrap" not in re.search(r"\.figures b \{[^}]*\}", render_html(week()))[0]


STRANGE = "font.size: 30\nfigure.dpi: 20\naxes.facecolor: red\nsvg.fonttype: path\nfont.family: serif\n"
MAKE = """
import hashlib, pickle, sys
from batch.weekly_page import picture, render_html, thumbnail
week = pickle.load(sys.stdin.buffer)
for made in (render_html(week).encode(), picture(week), thumbnail(week).encode()):
    print(hashlib.sha256(made).hexdigest())
"""


def test_the_same_figures_are_the_same_bytes(tmp_path):
    """On another day, in another process, with the settings of somebody who likes it large and red."""
    (tmp_path / "matplotlibrc").write_text(STRANGE)
    made = [[render_html(week()).encode(), picture(week()), thumbnail(week()).encode()] for _ in range(2)]
    assert made[0] == made[1]
    there = subprocess.run(
        [sys.executable, "-c", MAKE],
        env={**os.environ, "MATPLOTLIBRC": str(tmp_path), "PYTHONHASHSEED": "7"},
        input=pickle.dumps(week()),
        capture_output=True,
        check=True,
    )
    assert there.stdout.decode().split() == [hashlib.sha256(each).hexdigest() for each in made[0]]


@pytest.mark.parametrize("shown", [week(), week(before=NOTHING), week(now=["-12.50", *["123456789.12"] * 6])])
def test_what_the_ui_shows_is_short_enough_to_be_shown(shown):
    assert len(to_markdown(shown)) < UI_MARKDOWN_LIMIT
    plot = thumbnail(shown)
    assert len(plot) < UI_MARKDOWN_LIMIT
    (data,) = re.findall(r"^!\[sales by day\]\(data:image/png;base64,([^)]*)\)", plot)
    assert base64.b64decode(data).startswith(PNG)
    assert picture(shown).startswith(PNG)
    assert len(picture(shown)) < 60_000


def test_a_week_that_was_taken_back_has_no_file(shop):
    arrives(shop, FIRST - WEEK, FIRST + timedelta(days=6))
    shop.arrives(PROMOTION_LIFT, FIRST)
    shop.fill("weekly_report_gap_sensor", looks=1)
    folder = shop.home.reports / "weekly_report"
    assert {file.name for file in folder.iterdir()} == {f"{FIRST}.html", f"{FIRST}.png", "latest.html"}
    shop.change("DELETE FROM lake.marts.daily_sales")
    shop.arrives(DAILY_SALES, FIRST)
    shop.daemon.advance(timedelta(minutes=10))
    shop.fill("weekly_report_gap_sensor", looks=1)
    assert not [*folder.iterdir()]
    metadata = shop.daemon.materializations(WEEKLY_REPORT.key)[-1].asset_materialization.metadata
    assert metadata["trading_days"].value == 0
    assert "plot" not in metadata


@pytest.mark.parametrize(
    ("now", "before", "told"),
    [
        (110, 100, "+10.0%"),
        (Decimal("99.99"), Decimal(100), "+0.0%"),
        (0, 100, "-100.0%"),
        (Decimal("1234.5"), Decimal(1), "+123,350.0%"),
        (5, 0, "-"),
        (5, Decimal("-3"), "-"),
        (None, 5, "-"),
        (5, None, "-"),
    ],
)
def test_a_change_in_per_cent(now, before, told):
    assert change(now, before) == told

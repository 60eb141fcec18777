// Roll-ups of clouds and regions, and the table of the worst series.

import { spark } from "./chart.js";
import { byId, el, outside, setText, svg } from "./dom.js";
import { featureName, NONE, providerName, quantity } from "./format.js";
import { tags } from "./alerts.js";

function tone(value) {
    return value >= 80 ? "critical" : value >= 50 ? "warning" : "quiet";
}

// A number with a bar; null: not judged in this tick.
export function score(value) {
    if (value === null || value === undefined) {
        return el("span", { class: "score" }, NONE);
    }
    const width = Math.max(0, Math.min(100, value)) * 0.46;

    return el("span", { class: "score", "data-state": tone(value) },
        svg("svg", { viewBox: "0 0 46 10", "aria-hidden": "true" },
            svg("rect", { class: "rest", width: 46, height: 10, rx: 2 }),
            svg("rect", { class: "part", width, height: 10, rx: 2 })),
        el("span", null, String(Math.round(value))));
}

// Units of features, as far as a row does not say them.
function unitOf(feature) {
    if (/^latency|^connect$|^header$|^oldest$/.test(feature)) {
        return "s";
    }
    if (/errors$|^cache_hits$/.test(feature)) {
        return "1";
    }
    return { rate: "1/s", bytes: "By/s", retries: "1/s" }[feature] || "";
}

function placeRow(name, row) {
    return el("tr", null,
        el("td", { title: name }, outside(name)),
        el("td", null, score(row.score)),
        el("td", null, quantity(row.rate, "1/s")),
        el("td", null, quantity(row.errors, "1")),
        el("td", null, quantity(row.latency_p95, "s")));
}

function placeCard(title, rows) {
    return el("article", { class: "place-card" },
        el("h3", null, outside(title)),
        el("table", null,
            el("thead", null, el("tr", null, ["", "Score", "Rate", "Errors", "p95"]
                .map((name) => el("th", { scope: "col" }, name)))),
            el("tbody", null, rows)));
}

function places(rollups) {
    const clouds = new Map();
    const totals = [];

    for (const row of rollups) {
        const cloud = row.labels.cloud_provider;

        if (cloud === undefined) {
            totals.push(row);
        } else {
            clouds.set(cloud, [...(clouds.get(cloud) || []), row]);
        }
    }

    // always in the same order: the eye finds a place where it was
    const name = (row) => row.labels.cloud_region || "";
    const cards = [...clouds].sort(([a], [b]) => (a < b ? -1 : 1)).map(([cloud, rows]) =>
        placeCard(providerName(cloud), rows.sort((a, b) => (name(a) < name(b) ? -1 : 1))
            .map((row) => placeRow(row.labels.cloud_region || "all regions", row))));

    if (totals.length !== 0) {
        cards.unshift(placeCard("Everything", totals.map((row) => placeRow(
            Object.values(row.labels).join(" · ") || "all traffic", row))));
    }
    return cards;
}

const COLUMNS = [
    { key: "labels", title: "Series", left: true, text: (r) => Object.values(r.labels).join(" ") },
    { key: "score", title: "Score" },
    { key: "feature", title: "What stands out", left: true, text: (r) => r.feature },
    { key: "rate", title: "Rate", unit: "1/s" },
    { key: "errors", title: "Errors", unit: "1" },
    { key: "latency_p50", title: "p50", unit: "s" },
    { key: "latency_p95", title: "p95", unit: "s" },
    { key: "inflight", title: "In flight", unit: "" },
    { key: "spark", title: "Last minute", fixed: true },
];

function cell(column, row) {
    switch (column.key) {
    case "labels":
        return el("td", { class: "left labels" }, tags(row.labels));
    case "score":
        return el("td", null, score(row.score));
    case "feature":
        return el("td", { class: "left" }, row.feature
            ? [outside(featureName(row.feature)), el("br"),
                el("small", null, quantity(row.observed, unitOf(row.feature)),
                    ", expected ", quantity(row.expected, unitOf(row.feature)))]
            : NONE);
    case "spark":
        return el("td", null, spark(row.spark, "trend of the last minute"));
    default:
        return el("td", null, quantity(row[column.key], column.unit));
    }
}

export class Series {
    constructor(store) {
        this.store = store;
        this.sort = "score";
        this.down = true;
        this.find = "";
        this.drawn = null;

        byId("find").addEventListener("input", (event) => {
            this.find = event.target.value.trim().toLowerCase();
            this.rows();
        });
        byId("all").addEventListener("click", (event) => {
            const all = this.store.limit === 50;
            this.store.limit = all ? 1000 : 50;
            event.target.setAttribute("aria-pressed", String(all));
            setText(event.target, all ? "Show the worst" : "Show all");
            this.store.look(true);
        });
        this.header();
    }

    header() {
        const heads = COLUMNS.map((column) => el("th", {
            scope: "col", class: column.left ? "left" : null,
            "aria-sort": column.key !== this.sort ? null
                : this.down ? "descending" : "ascending",
        }, column.fixed ? el("span", { class: "soft" }, column.title)
            : el("button", {
                type: "button", onclick: () => this.order(column),
            }, column.title)));

        document.querySelector("#series thead")
            .replaceChildren(el("tr", null, heads));
    }

    order(column) {
        this.down = column.key === this.sort ? !this.down : !column.left;
        this.sort = column.key;
        const at = COLUMNS.indexOf(column);
        this.header();
        this.rows();
        document.querySelectorAll("#series th")[at].querySelector("button").focus();
    }

    draw() {
        if (this.store.series === null || this.store.series === this.drawn) {
            return;
        }
        this.drawn = this.store.series;

        const cards = places(this.drawn.rollups);

        byId("places").replaceChildren(...(cards.length ? cards
            : [el("p", { class: "nothing" }, "No cloud is known. See tocsin_cloud.")]));
        this.rows();
    }

    rows() {
        if (this.drawn === null) {
            return;
        }
        const column = COLUMNS.find((c) => c.key === this.sort);
        const value = column.text || ((r) => r[column.key]);
        const sign = this.down ? -1 : 1;
        const compare = (a, b) => {
            const x = value(a), y = value(b);
            if (x === null || y === null) {
                return (x === null) - (y === null); // not known: last
            }
            return x < y ? -sign : x > y ? sign : 0;
        };
        const rows = this.drawn.series
            .filter((r) => this.find === "" || (Object.values(r.labels).join(" ")
                + " " + r.feature).toLowerCase().includes(this.find))
            .sort(compare);

        document.querySelector("#series tbody").replaceChildren(...rows.map((row) =>
            el("tr", null, COLUMNS.map((c) => cell(c, row)))));
        setText(byId("series-count"), rows.length + " of "
            + (this.drawn.state.sidecar.series ?? rows.length));
    }
}

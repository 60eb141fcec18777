// Alerts that last, as cards; resolved ones, folded.

import { evidenceChart } from "./chart.js";
import { byId, el, outside, setText, shape } from "./dom.js";
import { clock, duration, featureName, moment, NONE, providerName, quantity } from "./format.js";
import { Silencing } from "./silencing.js";
import { seconds } from "./time.js";

const PLACE = ["cloud_provider", "cloud_region", "cloud_availability_zone"];
const TITLES = {
    cloud_provider: "cloud", cloud_region: "region",
    cloud_availability_zone: "zone",
};

export function severityOf(alert) {
    const severity = alert.labels.severity;
    return ["critical", "warning", "info"].includes(severity) ? severity : "info";
}

// The place first and highlighted: it is what people look for.
export function tags(labels) {
    const names = [...PLACE.filter((n) => n in labels),
        ...Object.keys(labels).filter((n) => !PLACE.includes(n)
            && n !== "alertname" && n !== "severity")];

    return el("ul", { class: "tags" }, names.map((name) => el("li", {
        class: PLACE.includes(name) ? "place" : null,
    },
    el("small", null, (TITLES[name] || name) + " "),
    outside(name === "cloud_provider" ? providerName(labels[name]) : labels[name]))));
}

function band(t) {
    if (t.low === null && t.high === null) {
        return NONE;
    }
    if (t.low === null || t.high === null) {
        return t.low === null ? "at most " + quantity(t.high, t.unit)
            : "at least " + quantity(t.low, t.unit);
    }
    return quantity(t.low, t.unit) + " to " + quantity(t.high, t.unit);
}

function measure(t) {
    const item = (name, value, bad) => el("div", { class: bad ? "bad" : null },
        el("dt", null, name), el("dd", null, value));

    return el("dl", { class: "measure" },
        item("Observed " + featureName(t.feature), quantity(t.observed, t.unit), true),
        item("Expected", quantity(t.expected, t.unit)),
        item("Normal band", band(t)),
        item("Score", t.score === null ? NONE : String(Math.round(t.score)) + " / 100"));
}

function evidence(alert) {
    const t = alert.tocsin;
    const points = t.evidence;
    const chart = evidenceChart(points, seconds(alert.startsAt),
        `${featureName(t.feature)}: ${quantity(t.observed, t.unit)} observed, `
        + `${quantity(t.expected, t.unit)} expected`);

    if (chart === null) {
        return null;
    }
    return el("div", null, chart, el("div", { class: "legend" },
        el("span", null, clock(points[0][0])),
        el("span", { class: "key" }, "observed"),
        el("span", { class: "key expected" }, "expected"),
        el("span", { class: "key band" }, "normal band"),
        el("span", null, clock(points[points.length - 1][0]))));
}

function parts(list, open) {
    if (list.length === 0) {
        return null;
    }
    const rows = list.slice(0, 100).map((part) => el("tr", null,
        el("td", null, tags(part.labels)),
        el("td", null, outside(featureName(part.feature))),
        el("td", null, part.score === null ? NONE : String(Math.round(part.score)))));

    return el("details", { open, "data-fold": "parts" },
        el("summary", null, list.length === 1 ? "1 series that this explains"
            : list.length + " series that this explains"),
        el("table", { class: "parts" }, el("tbody", null, rows)));
}

function body(alert, open, top, bottom) {
    const { summary, description } = alert.annotations;
    // it may begin with the summary, which stands above already
    const text = description.startsWith(summary)
        ? description.slice(summary.length).replace(/^[.\s]+/, "") : description;

    return el("div", { class: "body" },
        el("div", null,
            top,
            tags(alert.labels),
            measure(alert.tocsin),
            text && el("p", { class: "soft" }, outside(text)),
            el("p", { class: "soft" }, el("small", null,
                "alert ", outside(alert.labels.alertname), ", judged by model ",
                outside(alert.tocsin.model || NONE)))),
        evidence(alert),
        el("div", null, parts(alert.tocsin.parts, open), bottom));
}

// Who silenced it, until when, why.
function hushed(alert, silence) {
    return alert.status.silencedBy.length !== 0
        && el("p", { class: "hushed" }, "Silenced", silence ? [" by ",
            outside(silence.createdBy), " until " + moment(seconds(silence.endsAt)) + ": ",
            outside(silence.comment || "no comment")] : null);
}

function hushing(alert, silencing) {
    return silencing && alert.status.silencedBy.length === 0 && el("p", null, el("button", {
        type: "button", class: "plain", onclick: () => silencing.open(alert),
        "aria-haspopup": "dialog",
        "aria-label": "Silence: " + (alert.annotations.summary || alert.labels.alertname),
    }, "Silence …"));
}

function card(alert, open, silence, silencing) {
    const severity = severityOf(alert);
    const pending = alert.tocsin.state === "pending";

    return el("article", {
        class: pending ? "alert pending" : "alert", "data-severity": severity,
        "data-id": alert.tocsin.id, "data-state-of": alert.tocsin.state,
    },
    shape(severity),
    el("h3", null, outside(alert.annotations.summary || alert.labels.alertname)),
    el("p", { class: "age" },
        el("b", { "data-since": seconds(alert.startsAt) }, NONE),
        el("span", { class: "severity" }, pending ? "not sure yet" : alert.labels.severity)),
    body(alert, open, hushed(alert, silence), hushing(alert, silencing)));
}

// Why no alert is shown. What is not known is never called well.
function absence(store, silenced) {
    const s = store.state;

    if (s === null) {
        return store.link === "lost" ? "Not known: nginx does not answer this page."
            : "Not known yet.";
    }
    if (store.link === "lost") {
        return "None was known when contact was lost.";
    }
    if (!s.healthy) {
        return "None is known. Tocsin cannot see at the moment.";
    }
    return silenced ? "None that is not silenced." : "Nothing is wrong.";
}

// Cards stay in place as long as their alert says the same.
export class Alerts {
    constructor(store) {
        this.store = store;
        this.silencing = new Silencing(store);
        this.cards = new Map(); // id -> {text, node}
        this.nothing = el("p", { class: "nothing" });
    }

    draw() {
        const list = [...this.store.list("firing"), ...this.store.list("pending")];
        const root = byId("alerts");
        const silenced = this.store.list("suppressed");

        setText(this.nothing, absence(this.store, silenced.length !== 0));
        this.place(root, list.length === 0 ? [this.nothing]
            : list.map((alert) => this.keep(alert)));
        this.place(byId("silenced"), silenced.map((alert) => this.keep(alert)));
        this.forget([...list, ...silenced]);
        byId("silenced-part").hidden = silenced.length === 0;
        setText(byId("silenced-count"), silenced.length ? String(silenced.length) : "");
        setText(byId("alerts-count"), list.length ? String(list.length) : "");
        this.past();
        this.tick();
    }

    keep(alert) {
        const state = this.store.state;
        const silence = this.store.silences.find((s) => alert.status.silencedBy.includes(s.id));
        const silencing = state && state.silences.write ? this.silencing : null;
        const text = JSON.stringify([alert, silence, Boolean(silencing)]);
        const old = this.cards.get(alert.tocsin.id);

        if (old && old.text === text) {
            return old.node;
        }
        const fold = old && old.node.querySelector("[data-fold]");
        const node = card(alert, Boolean(fold && fold.open), silence, silencing);

        this.cards.set(alert.tocsin.id, { text, node });
        return node;
    }

    // Replace only if something moved: a selection or focus survives.
    place(root, nodes) {
        if (root.childNodes.length !== nodes.length
            || nodes.some((node, i) => root.childNodes[i] !== node)) {
            root.replaceChildren(...nodes);
        }
    }

    forget(list) {
        const kept = new Set(list.map((alert) => alert.tocsin.id));

        for (const id of this.cards.keys()) {
            if (!kept.has(id)) {
                this.cards.delete(id);
            }
        }
    }

    past() {
        if (this.store.state === null) {
            return;
        }
        const list = this.store.list("resolved").slice(0, 50);
        const root = byId("past");
        const key = JSON.stringify(list);

        setText(byId("past-count"), list.length ? String(list.length) : "");
        if (key === this.key) {
            return;
        }
        this.key = key;

        const open = new Set([...root.querySelectorAll("details[open]")]
            .map((d) => d.dataset.id));

        root.replaceChildren(...list.map((alert) => el("details", {
            "data-id": alert.tocsin.id, open: open.has(alert.tocsin.id),
        },
        el("summary", null,
            el("strong", null, outside(alert.annotations.summary || alert.labels.alertname)),
            el("span", null, outside(alert.labels.severity)),
            el("span", { class: "soft" }, moment(seconds(alert.startsAt)) + ", for "
                + duration(seconds(alert.endsAt) - seconds(alert.startsAt)))),
        el("div", { class: "alert", "data-severity": severityOf(alert) },
            body(alert, false)))));

        if (list.length === 0) {
            root.append(el("p", { class: "nothing" }, "None."));
        }
    }

    tick() {
        const now = this.store.now();

        for (const node of document.querySelectorAll(".alerts [data-since]")) {
            setText(node, duration(now - Number(node.dataset.since)));
        }
    }
}

// The state of all in one glance; banners when we cannot see; the facts.

import { byId, el, outside, setAttribute, setText, shape } from "./dom.js";
import { clock, count, duration, moment, NONE, quantity } from "./format.js";

function dropped(events) {
    return Object.values(events.dropped).reduce((a, b) => a + b, 0);
}

// What is said in the big panel: state, word, reason.
function verdict(store) {
    const s = store.state;

    if (store.link === "lost") {
        return ["blind", "No contact", "nginx does not answer this page"];
    }
    if (s === null) {
        return ["wait", "Not known yet", "Asking nginx what it knows."];
    }
    const firing = store.list("firing");
    const pending = store.list("pending");
    const silenced = store.list("suppressed").length;
    const hushed = silenced ? ` ${silenced} more ${silenced === 1 ? "is" : "are"} silenced.` : "";
    const blind = s.healthy ? "" : " Tocsin is blind at the moment: " + s.reasons.join(", ") + ".";

    if (firing.length !== 0) {
        const worst = firing[0];
        const state = ["critical", "warning"].includes(worst.labels.severity)
            ? worst.labels.severity : "info";
        const word = { critical: "Critical", warning: "Warning", info: "Notice" }[state];
        const many = firing.length === 1 ? "" : firing.length + " alerts. ";

        return [state, word, many + (worst.annotations.summary || worst.labels.alertname)
            + "." + hushed + blind];
    }
    if (!s.healthy) {
        return ["blind", "Blind", s.reasons.join(", ") + ". No alert is known."];
    }
    if (silenced !== 0) {
        return ["quiet", "Silenced", `${silenced} ${silenced === 1 ? "alert is" : "alerts are"} silenced.`
            + (pending.length === 0 ? "" : ` ${pending.length} suspected, not sure yet.`)];
    }
    return ["quiet", "All quiet", pending.length === 0
        ? "Everything behaves as it should."
        : pending.length + " suspected, not sure yet."];
}

function figures(s) {
    const item = (name, value) => el("div", null,
        el("dt", null, name), el("dd", null, value));
    const a = s.alerts;

    return [
        item("Critical", count(a.critical)), item("Warning", count(a.warning)),
        item("Info", count(a.info + a.other)), item("Pending", count(a.pending)),
        ...(a.suppressed ? [item("Silenced", count(a.suppressed))] : []),
    ];
}

function banners(store) {
    const s = store.state;
    const list = [];
    const since = (at) => [` since ${moment(at)} (`,
        el("span", { "data-ago": at }, ""), ")"];

    if (store.link === "lost") {
        list.push(["blind", "No contact with nginx",
            since(store.contact / 1000 + store.offset),
            ". What you see is what was known then."]);
    }
    if (s === null) {
        return list;
    }
    if (s.feed.worker === null) {
        list.push(["blind", "No worker of nginx follows the alerts", "",
            ". This should last for two seconds at most."]);
    } else if (!s.feed.redis) {
        list.push(["blind", "Redis is silent", s.feed.since ? since(s.feed.since) : "",
            s.feed.error ? [": ", outside(s.feed.error)] : ".",
            " What you see is what was known then."]);
    }
    if (s.sidecar.heartbeat === null) {
        list.push(["blind", "The sidecar was never heard of", "",
            ". Is “tocsin run” running, with the same Redis and prefix?"]);
    } else if (!s.sidecar.alive) {
        list.push(["blind", "The sidecar is silent", since(s.sidecar.heartbeat),
            ". Nothing is being judged; what you see is what it knew then."]);
    } else if (s.feed.redis && !s.feed.alerts) {
        list.push(["blind", "The alerts are being read", "", " from Redis."]);
    } else if (!s.healthy && s.feed.redis) {
        list.push(["blind", "The sidecar lags behind", "",
            " by " + duration(s.sidecar.lag) + ": what it judges has long happened."]);
    }
    if (s.feed.redis && s.feed.error) {
        list.push(["loss", "Trouble with Redis", "", [": ", outside(s.feed.error)]]);
    }
    return list;
}

function section(title, rows) {
    return el("section", null, el("h3", null, title), el("dl", null,
        rows.map(([name, value, bad]) => [el("dt", null, name),
            el("dd", { class: bad ? "bad" : null }, value)])));
}

function facts(s) {
    const c = s.sidecar;
    const known = c.heartbeat !== null;
    const e = s.events;
    const lost = dropped(e);

    return [
        section("Sidecar", [
            ["Last heard of", known ? el("span", { "data-ago": c.heartbeat }, "") : "never", !c.alive],
            ["Lag", known ? quantity(c.lag, "s") : NONE, known && c.lag > 30],
            ["Last tick", known && c.tick ? clock(c.tick) : NONE],
            ["Length of a tick", known ? quantity(c.tick_length, "s") : NONE],
            ["Series", known ? count(c.series) : NONE],
            ["Series dropped by the cap", known ? count(c.series_evicted) : NONE],
            ["Version", known ? outside(c.version || NONE) : NONE],
        ]),
        section("Model", [
            ["Version", known ? outside(c.model || NONE) : NONE],
            ["Serving for", known && c.model_ts ? el("span", { "data-age": c.model_ts }, "") : NONE],
            ["Challengers trained", known ? count(c.trained) : NONE],
            ["Challengers that won", known ? count(c.swapped) : NONE],
        ]),
        section("Events judged", [
            ["Processed", known ? count(c.events) : NONE],
            ["Too late", known ? count(c.late) : NONE],
            ["Seen twice", known ? count(c.duplicates) : NONE],
            ["Missing", known ? count(c.gaps) : NONE, c.gaps > 0],
            ["Unreadable", known ? count(c.malformed) : NONE, c.malformed > 0],
        ]),
        section("Events from nginx", [
            ["Emitted", count(e.emitted)],
            ["Delivered to Redis", count(e.delivered)],
            ["Waiting", count(e.buffered)],
            ["Dropped", count(lost), lost > 0],
            ["Workers connected", e.connected + " of " + e.workers, e.connected < e.workers],
            ...(e.error ? [["Last trouble", outside(e.error), true]] : []),
        ]),
        section("This page", [
            ["Alerts read by worker", s.feed.worker === null ? "none" : String(s.feed.worker), s.feed.worker === null],
            ["Redis", s.feed.redis ? "answers" : "silent", !s.feed.redis],
            ["Unreadable entries", count(s.feed.malformed), s.feed.malformed > 0],
            ["Alerts without room", count(s.feed.forgotten), s.feed.forgotten > 0],
        ]),
    ];
}

export class Status {
    constructor(store) {
        this.store = store;
        this.told = "";
    }

    draw() {
        const store = this.store;
        const s = store.state;
        const [state, word, why] = verdict(store);
        const overall = byId("overall");

        if (overall.dataset.state !== state || byId("shape").childNodes.length === 0) {
            overall.dataset.state = state;
            byId("shape").replaceChildren(shape(state));
        }
        setText(byId("word"), word);
        setText(byId("why"), why);
        this.title(state);
        this.banners();
        this.link();

        if (s !== null) {
            byId("figures").replaceChildren(...figures(s));
            byId("facts").replaceChildren(...facts(s));
            setText(byId("watching"), s.sidecar.heartbeat === null ? ""
                : "watching " + count(s.sidecar.series) + " series");
        }
        document.body.classList.toggle("blind", state === "blind");
        this.tick();
    }

    title(state) {
        const n = this.store.list("firing").length;
        const icon = { critical: "critical", warning: "warning", info: "warning", quiet: "quiet" }[state] || "blind";
        const blind = state === "blind" || (this.store.state && !this.store.state.healthy);

        document.title = (n ? "(" + n + ") " : "") + (blind ? "blind – " : "") + "Tocsin";
        setAttribute(byId("icon"), "href", new URL("icon-" + icon + ".svg", this.store.base).href);
    }

    // Spoken at once by screen readers: only when they change.
    banners() {
        const list = banners(this.store);
        const told = list.map(([kind, what]) => kind + what).join();

        if (told !== this.told) {
            this.told = told;
            byId("banners").replaceChildren(...list.map(([kind, what, ...rest]) =>
                el("p", { class: "banner", "data-kind": kind },
                    el("span", null, el("strong", null, what), rest))));
        }
    }

    link() {
        const texts = { live: "live", poll: "polling", lost: "no contact", wait: "connecting" };

        setAttribute(byId("link"), "data-link", this.store.link);
        setText(byId("link"), texts[this.store.link]);
    }

    tick() {
        const now = this.store.now();

        setText(byId("clock"), clock(now));
        for (const node of document.querySelectorAll("[data-ago]")) {
            setText(node, duration(now - Number(node.dataset.ago)) + " ago");
        }
        for (const node of document.querySelectorAll("[data-age]")) {
            setText(node, duration(now - Number(node.dataset.age)));
        }
    }
}

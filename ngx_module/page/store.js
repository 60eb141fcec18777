// What the page knows, and how it comes to know: server-sent events, and
// polling while they do not come.

const SILENT = 6000;      // ms without an event: ask by polling
const POLL = 3000;
const SERIES = 3000;      // ms between looks at the series
const KEEP = 12 * 3600;   // s that resolved alerts stay on the page

// pending, firing or resolved; suppressed: nobody is told of it
export function stateOf(alert) {
    return alert.status.state === "suppressed" ? "suppressed" : alert.tocsin.state;
}

export class Store {
    constructor(base, changed) {
        this.base = base;
        this.changed = changed;
        this.alerts = new Map();
        this.coming = null;         // alerts of a stream that begins
        this.state = null;          // null: nothing is known, nor any alert
        this.series = null;
        this.silences = [];
        this.version = null;        // of the silences that we know
        this.offset = 0;            // our clock to the server's, s
        this.heard = 0;             // ms: the last news of any kind
        this.contact = Date.now();  // ms: since when there is (no) contact
        this.link = "wait";
        this.limit = 50;
        this.seen = null;           // ts of the snapshot that series show
        this.asked = 0;
    }

    start() {
        this.open();
        setInterval(() => this.watch(), 1000);
        document.addEventListener("visibilitychange", () => this.look());
    }

    now() {
        return Date.now() / 1000 + this.offset;
    }

    open() {
        const source = new EventSource(new URL("stream", this.base));
        const on = (name, take) => source.addEventListener(name, (event) => {
            this.touch("live");
            take(JSON.parse(event.data));
        });
        // All that stand, then a state: not before then are they known.
        on("reset", () => {
            this.coming = new Map();
        });
        on("alert", (alert) => (this.coming || this.alerts).set(alert.tocsin.id, alert));
        on("state", (state) => {
            this.alerts = this.coming || this.alerts;
            this.coming = null;
            this.take(state);
        });
        source.addEventListener("error", () => {
            if (source.readyState === EventSource.CLOSED) {
                setTimeout(() => this.open(), 5000); // the server said no
            }
        });
    }

    touch(link) {
        this.heard = Date.now();
        if (this.link === "lost" || this.link === "wait") {
            this.contact = this.heard;
        }
        this.link = link;
    }

    take(state) {
        this.state = state;
        this.offset = state.now - Date.now() / 1000;
        for (const [id, alert] of this.alerts) {
            if (alert.tocsin.state === "resolved"
                && Date.parse(alert.endsAt) / 1000 < state.now - KEEP) {
                this.alerts.delete(id);
            }
        }
        if (state.silences.version !== this.version) {
            this.version = state.silences.version;
            this.hush();
        }
        this.changed();
        this.look();
    }

    // Silences are fetched when the state says that they are others; and the
    // alerts, for what is silenced comes with no news of its own.
    async hush() {
        const version = this.version;

        try {
            const [silences, alerts] = await Promise.all([
                this.get("api/v2/silences"),
                this.get("api/v2/alerts?resolved=true"),
            ]);
            this.silences = silences;
            for (const alert of alerts) {
                const known = this.alerts.get(alert.tocsin.id);

                if (!known || Date.parse(known.updatedAt) <= Date.parse(alert.updatedAt)) {
                    this.alerts.set(alert.tocsin.id, alert);
                }
            }
            this.changed();
        } catch (error) {
            if (this.version === version) {
                this.version = null; // the next state asks again
            }
        }
    }

    silence(body) {
        return this.ask("POST", "api/v2/silences", body);
    }

    expire(id) {
        return this.ask("DELETE", "api/v2/silence/" + encodeURIComponent(id));
    }

    // What nginx refuses it says as a mere string.
    async ask(method, path, body) {
        const answer = await fetch(new URL(path, this.base), {
            method, cache: "no-store", signal: AbortSignal.timeout(10000),
            headers: body ? { "Content-Type": "application/json" } : {},
            body: body && JSON.stringify(body),
        });
        if (!answer.ok) {
            const said = await answer.json().catch(() => null);

            throw new Error(typeof said === "string" ? said
                : "nginx answers " + answer.status);
        }
    }

    watch() {
        if (Date.now() - this.heard > SILENT) {
            this.poll();
        }
    }

    async poll() {
        if (Date.now() - this.asked < POLL) {
            return;
        }
        this.asked = Date.now();
        try {
            const [alerts, series] = await Promise.all([
                this.get("api/v2/alerts?resolved=true"),
                this.get("api/v1/series?limit=" + this.limit),
            ]);
            this.alerts = new Map(alerts.map((a) => [a.tocsin.id, a]));
            this.series = series;
            this.touch("poll");
            this.heard = Date.now() - SILENT; // polling goes on
            this.take(series.state);
        } catch (error) {
            if (this.link !== "lost") {
                this.link = "lost";
                this.contact = Date.now();
            }
            this.changed();
        }
    }

    // The series are many: they are fetched, not pushed, while somebody looks.
    async look(force) {
        const ts = this.state && this.state.sidecar.ts;
        if (document.hidden || this.link !== "live"
            || (!force && (ts === this.seen
                || Date.now() - this.asked < SERIES))) {
            return;
        }
        this.asked = Date.now();
        try {
            this.series = await this.get("api/v1/series?limit=" + this.limit);
            this.seen = this.series.state.sidecar.ts;
            this.changed();
        } catch (error) {
            this.seen = null; // the next state asks again
        }
    }

    async get(path) {
        const answer = await fetch(new URL(path, this.base), {
            cache: "no-store", signal: AbortSignal.timeout(5000),
        });
        if (!answer.ok) {
            throw new Error(path + ": " + answer.status);
        }
        return answer.json();
    }

    // By urgency: critical ones first, then the newest.
    list(state) {
        const order = { critical: 0, warning: 1, info: 2 };
        const rank = (a) => order[a.labels.severity] ?? 3;
        return [...this.alerts.values()]
            .filter((a) => stateOf(a) === state)
            .sort((a, b) => (state === "resolved"
                ? Date.parse(b.endsAt) - Date.parse(a.endsAt)
                : rank(a) - rank(b)
                    || Date.parse(b.startsAt) - Date.parse(a.startsAt)));
    }
}

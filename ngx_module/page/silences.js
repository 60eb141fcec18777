// Silences that are or will be, with a button that ends them where people may
// do that; and the line that says what became of what was asked.

import { byId, el, outside, setText } from "./dom.js";
import { duration, moment } from "./format.js";
import { operatorOf } from "./matchers.js";
import { seconds } from "./time.js";

export function say(text, bad) {
    const node = byId("said");

    node.classList.toggle("bad", Boolean(bad));
    setText(node, text);
}

function matchers(list) {
    return el("ul", { class: "tags" }, list.map((m) => el("li", null,
        el("small", null, outside(m.name), " " + operatorOf(m) + " "),
        outside(m.value))));
}

export class Silences {
    constructor(store) {
        this.store = store;
        this.key = "";
    }

    draw() {
        const state = this.store.state;
        const list = this.store.silences
            .filter((s) => s.status.state !== "expired" && seconds(s.endsAt) > this.store.now())
            .sort((a, b) => seconds(a.endsAt) - seconds(b.endsAt));
        const write = Boolean(state && state.silences.write);
        const key = JSON.stringify([list, write]);

        if (key === this.key) {
            return; // focus and selection stay where they are
        }
        this.key = key;
        byId("silences-part").hidden = list.length === 0;
        setText(byId("silences-count"), list.length ? String(list.length) : "");
        byId("silences").replaceChildren(...list.map((s) => this.item(s, write)));
        this.tick();
    }

    item(silence, write) {
        const text = silence.comment || "no comment";
        const starts = seconds(silence.startsAt);
        const ends = seconds(silence.endsAt);

        return el("article", { class: "silence", "data-id": silence.id },
            matchers(silence.matchers),
            el("p", null, outside(text)),
            el("p", { class: "soft" }, "by ", outside(silence.createdBy),
                silence.status.state === "pending" ? ", from " + moment(starts) : null,
                ", until " + moment(ends) + ", ends in ",
                el("span", { "data-until": ends }, "")),
            write && el("button", {
                type: "button", class: "plain", "aria-label": "Expire: " + text,
                onclick: (event) => this.expire(silence, event.currentTarget),
            }, "Expire"));
    }

    async expire(silence, button) {
        button.disabled = true;
        setText(button, "Ending …");
        try {
            await this.store.expire(silence.id);
            say("The silence was ended.");
            byId("alerts").focus();
        } catch (error) {
            button.disabled = false;
            setText(button, "Expire");
            say("The silence was not ended: " + error.message, true);
        }
    }

    tick() {
        const now = this.store.now();

        for (const node of byId("silences").querySelectorAll("[data-until]")) {
            setText(node, duration(Number(node.dataset.until) - now));
        }
        if ([...byId("silences").querySelectorAll("[data-until]")]
            .some((node) => Number(node.dataset.until) <= now)) {
            this.draw();
        }
    }
}

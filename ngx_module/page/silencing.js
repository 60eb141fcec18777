// The dialog in which people silence alerts: the labels of one are the
// matchers it begins with.

import { byId, el, outside, setText } from "./dom.js";
import { duration } from "./format.js";
import { matcherOf, matches, OPERATORS } from "./matchers.js";
import { say } from "./silences.js";
import { stamp } from "./time.js";

const DURATIONS = [
    ["30 minutes", 1800], ["1 hour", 3600], ["2 hours", 7200],
    ["4 hours", 14400], ["8 hours", 28800], ["1 day", 86400],
    ["3 days", 259200], ["1 week", 604800],
];
const USUAL = 7200;

// How bad it is may change while it is repaired: not matched by unless chosen.
const UNCHOSEN = ["severity"];

function matcherRow(name, value) {
    const chosen = !UNCHOSEN.includes(name);

    return el("li", { "data-name": name },
        el("label", null,
            el("input", { type: "checkbox", checked: chosen }),
            " ", outside(name)),
        el("select", { "aria-label": "How " + name + " is compared" },
            OPERATORS.map((o) => el("option", { value: o }, o))),
        el("input", {
            type: "text", value, maxlength: 1023, autocomplete: "off",
            spellcheck: "false", "aria-label": "Value of " + name,
        }));
}

function field(title, control) {
    return el("label", { class: "field" }, el("span", null, title), control);
}

export class Silencing {
    constructor(store) {
        this.store = store;
        this.author = "";
    }

    open(alert) {
        const duration = el("select", { name: "duration" }, DURATIONS.map(([title, value]) =>
            el("option", { value, selected: value === USUAL }, title)));

        this.matchers = el("ul", { class: "matchers" }, Object.entries(alert.labels)
            .map(([name, value]) => matcherRow(name, value)));
        this.duration = duration;
        this.by = el("input", {
            type: "text", name: "author", required: true, maxlength: 255,
            value: this.store.state.silences.user || this.author,
        });
        this.comment = el("input", {
            type: "text", name: "comment", required: true, maxlength: 1023,
            placeholder: "why, and who knows more",
        });
        this.preview = el("p", { class: "soft", role: "status" });
        this.trouble = el("p", { class: "trouble", role: "alert" });
        this.submit = el("button", { type: "submit", class: "plain strong" }, "Silence");
        this.dialog = this.build();
        document.body.append(this.dialog);
        this.look();
        this.dialog.showModal();
        this.comment.focus();
    }

    build() {
        const dialog = el("dialog", { "aria-labelledby": "silencing-title", class: "silencing" },
            el("form", {
                onsubmit: (event) => {
                    event.preventDefault();
                    this.send();
                },
                oninput: () => this.look(),
            },
            el("h2", { id: "silencing-title" }, "Silence alerts"),
            el("p", { class: "soft" }, "Nobody is told of alerts whose labels match all of these, "
                + "until the time is over. They stay on this page."),
            this.matchers,
            this.preview,
            field("For", this.duration),
            field("Your name", this.by),
            field("Comment", this.comment),
            this.trouble,
            el("p", { class: "buttons" }, this.submit,
                el("button", {
                    type: "button", class: "plain", onclick: () => dialog.close(),
                }, "Cancel"))));

        dialog.addEventListener("close", () => dialog.remove());
        return dialog;
    }

    chosen() {
        return [...this.matchers.children]
            .filter((row) => row.querySelector("[type=checkbox]").checked)
            .map((row) => matcherOf(row.dataset.name, row.querySelector("select").value,
                row.querySelector("[type=text]").value));
    }

    // How many of those that stand would fall silent.
    look() {
        const list = [...this.store.list("firing"), ...this.store.list("pending")];
        const chosen = this.chosen();

        this.submit.disabled = chosen.length === 0;
        try {
            const count = list.filter((a) => matches(chosen, a.labels)).length;

            setText(this.preview, chosen.length === 0 ? "Choose a label at least."
                : `Matches ${count} of ${list.length} alerts that stand now.`);
        } catch (error) {
            setText(this.preview, "A pattern is not complete yet.");
        }
    }

    async send() {
        const now = this.store.now();
        const length = Number(this.duration.value);

        this.submit.disabled = true;
        setText(this.trouble, "");
        this.author = this.by.value;
        try {
            await this.store.silence({
                matchers: this.chosen(), createdBy: this.by.value, comment: this.comment.value,
                startsAt: stamp(now), endsAt: stamp(now + length),
            });
            this.dialog.close();
            say("Silenced for " + duration(length) + ".");
            byId("alerts").focus();
        } catch (error) {
            setText(this.trouble, "Not silenced: " + error.message);
            this.submit.disabled = false;
        }
    }
}

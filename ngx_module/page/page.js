// Wires the parts of the page. No framework, no build step, nothing from
// elsewhere: nginx serves these files from its own module.

import { Alerts } from "./alerts.js";
import { byId } from "./dom.js";
import { Series } from "./series.js";
import { Silences } from "./silences.js";
import { Status } from "./status.js";
import { Store } from "./store.js";

function theme() {
    const root = document.documentElement;
    const kept = () => {
        try {
            return localStorage.getItem("tocsin-theme");
        } catch (error) {
            return null; // storage may be forbidden
        }
    };

    if (kept()) {
        root.dataset.theme = kept();
    }
    byId("theme").addEventListener("click", () => {
        const dark = root.dataset.theme ? root.dataset.theme === "dark"
            : matchMedia("(prefers-color-scheme: dark)").matches;

        root.dataset.theme = dark ? "light" : "dark";
        try {
            localStorage.setItem("tocsin-theme", root.dataset.theme);
        } catch (error) {
            // then it lasts as long as the page
        }
    });
}

theme();

const store = new Store(new URL(".", import.meta.url), () => draw());
const parts = [new Status(store), new Alerts(store), new Silences(store),
    new Series(store)];

let due = false;

// Many alerts may arrive at once: one drawing for all of them.
function draw() {
    if (!due) {
        due = true;
        setTimeout(() => {
            due = false;
            parts.forEach((part) => part.draw());
        }, 0);
    }
}

draw();
store.start();
setInterval(() => parts.forEach((part) => part.tick && part.tick()), 1000);

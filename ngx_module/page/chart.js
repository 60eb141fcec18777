// Two drawings, both by hand: a chart of an alert's evidence with the band in
// which the model expected it, and the small trend of a series.

import { svg } from "./dom.js";

const WIDTH = 600;
const HEIGHT = 92;

const isNumber = (v) => typeof v === "number" && Number.isFinite(v);

function range(values) {
    let low = Infinity, high = -Infinity;
    for (const v of values) {
        if (isNumber(v)) {
            low = Math.min(low, v);
            high = Math.max(high, v);
        }
    }
    if (low > high) {
        return null;
    }
    if (low === high) {
        high = low + (Math.abs(low) || 1);
    }
    return { low, high };
}

// A path that lifts the pen where a value is missing.
function line(points, x, y) {
    let path = "", down = false;
    for (const p of points) {
        const v = y(p);
        if (isNumber(v)) {
            path += (down ? "L" : "M") + x(p).toFixed(1) + " " + v.toFixed(1);
        }
        down = isNumber(v);
    }
    return path;
}

function area(points, x, low, high) {
    const whole = points.filter((p) => isNumber(low(p)) && isNumber(high(p)));
    if (whole.length < 2) {
        return "";
    }
    const there = whole.map((p) => x(p).toFixed(1) + " " + high(p).toFixed(1));
    const back = whole.map((p) => x(p).toFixed(1) + " " + low(p).toFixed(1)).reverse();
    return "M" + there.join("L") + "L" + back.join("L") + "Z";
}

// points: [time, observed, expected, low, high] each, null where not known
export function evidenceChart(points, onset, label) {
    const known = points.filter((p) => isNumber(p[0]));
    const span = range(known.flatMap((p) => p.slice(1)));
    if (known.length < 2 || span === null) {
        return null;
    }
    const first = known[0][0], last = known[known.length - 1][0];
    const pad = 6;
    const x = (p) => (p[0] - first) / (last - first || 1) * WIDTH;
    const at = (v) => (isNumber(v)
        ? pad + (span.high - v) / (span.high - span.low) * (HEIGHT - 2 * pad)
        : null);

    const outside = known.filter((p) => isNumber(p[1])
        && ((isNumber(p[4]) && p[1] > p[4]) || (isNumber(p[3]) && p[1] < p[3])));

    return svg("svg", {
        class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        preserveAspectRatio: "none", role: "img", "aria-label": label,
    },
    svg("path", { class: "band", d: area(known, x, (p) => at(p[3]), (p) => at(p[4])) }),
    svg("path", { class: "edge", d: line(known, x, (p) => at(p[3])) }),
    svg("path", { class: "edge", d: line(known, x, (p) => at(p[4])) }),
    svg("path", { class: "expected", d: line(known, x, (p) => at(p[2])) }),
    onset > first && onset < last && svg("line", {
        class: "onset", x1: x([onset]), x2: x([onset]), y1: 0, y2: HEIGHT,
    }),
    svg("path", { class: "observed", d: line(known, x, (p) => at(p[1])) }),
    outside.slice(-60).map((p) => svg("ellipse", {
        class: "outside", cx: x(p), cy: at(p[1]), rx: 2.6, ry: 3,
    })));
}

export function spark(values, label) {
    const span = range(values);
    if (span === null || values.length < 2) {
        return svg("svg", { class: "spark", viewBox: "0 0 120 26" });
    }
    const points = values.map((v, i) => [i, v]);
    const x = (p) => p[0] / (values.length - 1) * 116 + 2;
    const y = (p) => (isNumber(p[1])
        ? 3 + (span.high - p[1]) / (span.high - span.low) * 20 : null);
    const last = points[points.length - 1];

    return svg("svg", {
        class: "spark", viewBox: "0 0 120 26", role: "img", "aria-label": label,
    },
    svg("path", { d: line(points, x, y) }),
    isNumber(last[1]) && svg("circle", { cx: x(last), cy: y(last), r: 2 }));
}

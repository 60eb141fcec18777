// Elements. Texts only ever become text nodes or attribute values, so that no
// label, route or summary can become markup; the policy of the page forbids
// the other ways.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
    for (const [name, value] of Object.entries(props || {})) {
        if (value === null || value === undefined || value === false) {
            continue;
        }
        if (name.startsWith("on")) {
            node.addEventListener(name.slice(2), value);
        } else {
            node.setAttribute(name, value === true ? "" : String(value));
        }
    }
    for (const child of children.flat(Infinity)) {
        if (child !== null && child !== undefined && child !== false) {
            node.append(child);
        }
    }
    return node;
}

export function el(tag, props, ...children) {
    return fill(document.createElement(tag), props, children);
}

export function svg(tag, props, ...children) {
    return fill(document.createElementNS(SVG, tag), props, children);
}

// A text from outside: isolated, so that its direction cannot spill over.
export function outside(text) {
    return el("bdi", null, text);
}

export function byId(id) {
    return document.getElementById(id);
}

// Change only what differs: screen readers and selections stay undisturbed.
export function setText(node, text) {
    if (node.textContent !== text) {
        node.textContent = text;
    }
}

export function setAttribute(node, name, value) {
    if (node.getAttribute(name) !== value) {
        node.setAttribute(name, value);
    }
}

// Shapes that tell severities apart without colour.
const SHAPES = {
    critical: ["M9 1.5h8l5.5 5.5v8L17 20.5H9L3.5 15V7z", "M13 5.5v7m0 2.6v2"],
    warning: ["M13 1.5l11.5 20h-23z", "M13 8v7m0 2.4v2"],
    info: ["M13 1a10.5 10.5 0 1 1 0 21 10.5 10.5 0 0 1 0-21z", "M13 5.6v2m0 2.6v7"],
    quiet: ["M13 1a10.5 10.5 0 1 1 0 21 10.5 10.5 0 0 1 0-21z", "M8 12l3.6 3.6L18 8.4"],
    blind: ["M13 .8l11 11-11 11-11-11z", "M10.6 9.6a2.5 2.5 0 1 1 3.5 2.3c-.8.4-1.1.8-1.1 1.7m0 2.2v1.8"],
    wait: ["M13 1a10.5 10.5 0 1 1 0 21 10.5 10.5 0 0 1 0-21z", "M13 6v6l4 2.4"],
};

export function shape(name) {
    const [outline, mark] = SHAPES[name] || SHAPES.info;
    return svg("svg", { viewBox: "0 0 26 23.5", "aria-hidden": "true" },
        svg("path", { d: outline }),
        svg("path", {
            d: mark, fill: "none", stroke: "var(--panel)",
            "stroke-width": "2", "stroke-linecap": "round",
        }));
}

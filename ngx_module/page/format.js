// Numbers, times and names for people.

const FEATURES = {
    rate: "request rate",
    errors: "server errors",
    client_errors: "client errors",
    local_errors: "failed attempts",
    latency_p50: "median latency",
    latency_p95: "95th percentile latency",
    inflight: "requests in flight",
    oldest: "age of the oldest request",
    bytes: "bytes sent",
    connect: "connect time",
    header: "time to first byte",
    retries: "retries",
    cache_hits: "cache hits",
};

const PROVIDERS = {
    aws: "AWS", azure: "Azure", gcp: "Google Cloud",
    alibaba_cloud: "Alibaba Cloud", tencent_cloud: "Tencent Cloud",
    ibm_cloud: "IBM Cloud", oracle_cloud: "Oracle Cloud",
};

export const NONE = "–";

export function featureName(name) {
    return Object.hasOwn(FEATURES, name) ? FEATURES[name] : name;
}

export function providerName(name) {
    return Object.hasOwn(PROVIDERS, name) ? PROVIDERS[name] : name;
}

function digits(value) {
    const size = Math.abs(value);
    if (size >= 100) {
        return value.toLocaleString("en", { maximumFractionDigits: 0 });
    }
    return String(Number(value.toPrecision(size < 0.01 ? 2 : 3)));
}

function scaled(value, steps) {
    for (const [size, unit] of steps) {
        if (Math.abs(value) >= size) {
            return digits(value / size) + " " + unit;
        }
    }
    const [size, unit] = steps[steps.length - 1];
    return digits(value / size) + " " + unit;
}

// A value with its unit as the wire has it: s, 1 (a share), 1/s, By, By/s.
export function quantity(value, unit) {
    if (value === null || value === undefined || !Number.isFinite(value)) {
        return NONE;
    }
    switch (unit) {
    case "s":
        return value === 0 ? "0 s"
            : scaled(value, [[1, "s"], [1e-3, "ms"], [1e-6, "µs"]]);
    case "1":
        return digits(value * 100) + " %";
    case "1/s":
        return digits(value) + " /s";
    case "By":
    case "By/s":
        return scaled(value, [[2 ** 30, "GiB"], [2 ** 20, "MiB"],
            [2 ** 10, "KiB"], [1, "B"]]) + (unit === "By/s" ? "/s" : "");
    default:
        return digits(value) + (unit ? " " + unit : "");
    }
}

export function count(value) {
    return Number.isFinite(value) ? value.toLocaleString("en") : NONE;
}

// 42 s, 3 m 07 s, 2 h 05 m, 3 d 4 h
export function duration(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    const two = (n) => String(n).padStart(2, "0");
    if (s < 60) {
        return s + " s";
    }
    if (s < 3600) {
        return Math.floor(s / 60) + " m " + two(s % 60) + " s";
    }
    if (s < 86400) {
        return Math.floor(s / 3600) + " h " + two(Math.floor(s / 60) % 60) + " m";
    }
    return Math.floor(s / 86400) + " d " + Math.floor(s / 3600) % 24 + " h";
}

export function clock(seconds) {
    return new Date(seconds * 1000).toLocaleTimeString("en-GB");
}

// The day, too, if it is not today.
export function moment(seconds) {
    const when = new Date(seconds * 1000);
    const day = when.toDateString() === new Date().toDateString()
        ? "" : when.toLocaleDateString("en-CA") + " ";
    return day + clock(seconds);
}

// RFC 3339, as the API has times, in seconds since the epoch and back.

export function seconds(text) {
    return Date.parse(text) / 1000;
}

export function stamp(when) {
    return new Date(when * 1000).toISOString();
}

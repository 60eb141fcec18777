// What a silence matches by, in Alertmanager's words.

export const OPERATORS = ["=", "!=", "=~", "!~"];

export function operatorOf(matcher) {
    return OPERATORS[(matcher.isRegex ? 2 : 0) + (matcher.isEqual ? 0 : 1)];
}

export function matcherOf(name, operator, value) {
    const index = OPERATORS.indexOf(operator);

    return { name, value, isRegex: index >= 2, isEqual: index % 2 === 0 };
}

// For a preview only: the sidecar has the last word. Throws on a bad pattern.
export function matches(matchers, labels) {
    return matchers.every((m) => {
        const value = Object.hasOwn(labels, m.name) ? labels[m.name] : "";
        const equal = m.isRegex ? new RegExp("^(?:" + m.value + ")$", "su").test(value)
            : value === m.value;

        return equal === m.isEqual;
    });
}

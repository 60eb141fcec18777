"""A run of a scenario as an SVG: scores against faults, and the alerts."""

from xml.sax.saxutils import escape

WIDTH, LEFT, ROW, PLOT = 960, 150, 16, 180
COLOURS = ["#1b6ca8", "#c2410c", "#15803d", "#7e22ce", "#a16207", "#be185d",
           "#0f766e", "#4b5563"]


class Chart:
    def __init__(self, title, seconds):
        self.title, self.seconds = title, max(seconds, 1.0)
        self.parts = []

    def x(self, t):
        return LEFT + (WIDTH - LEFT - 10) * min(max(t / self.seconds, 0), 1)

    def text(self, x, y, words, anchor="start", colour="#333"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" '
                          f'text-anchor="{anchor}">{escape(words)}</text>')

    def bar(self, start, end, y, height, colour, title, opacity=1.0):
        width = max(self.x(end) - self.x(start), 1.5)
        self.parts.append(
            f'<rect x="{self.x(start):.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="{height}" fill="{colour}" fill-opacity="{opacity}">'
            f'<title>{escape(title)}</title></rect>')

    def line(self, points, top, colour, title):
        """Scores from 0 to 100 over time."""
        path = " ".join(f"{self.x(t):.1f},{top + PLOT * (1 - s / 100):.1f}"
                        for t, s in points)
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" '
            f'stroke-width="1.5"><title>{escape(title)}</title></polyline>')

    def draw(self, faults, scores, alerts):
        """faults, alerts: (start, end, words); scores: name -> [(t, score)],
        the most telling first. -> SVG"""
        top = 34
        self.text(10, 20, self.title, colour="#000")
        for start, end, words in faults:
            self.bar(start, end, top, PLOT, "#f59e0b", words, 0.25)
        for level in (0, 50, 100):
            y = top + PLOT * (1 - level / 100)
            self.text(LEFT - 6, y + 4, str(level), "end", "#888")
        for number, (name, points) in enumerate(scores.items()):
            colour = COLOURS[number % len(COLOURS)]
            self.line(points, top, colour, name)
            self.text(10, top + 14 + 14 * number, name[:24], colour=colour)
        for t in range(0, int(self.seconds) + 1, 30):
            self.text(self.x(t), top + PLOT + 14, f"{t} s", "middle", "#888")
        y = top + PLOT + 24
        for start, end, words in faults:
            self.bar(start, end, y, ROW - 4, "#f59e0b", words)
            self.text(10, y + 10, words[:26])
            y += ROW
        for start, end, words in alerts:
            self.bar(start, end, y, ROW - 4, "#dc2626", words)
            self.text(10, y + 10, words[:26], colour="#dc2626")
            y += ROW
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
                f'height="{y + 10}" font-family="sans-serif" font-size="11">'
                f'<rect width="100%" height="100%" fill="#fff"/>'
                + "\n".join(self.parts) + "</svg>\n")

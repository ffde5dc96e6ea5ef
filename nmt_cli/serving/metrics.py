"""What the server counts, in the text format of Prometheus."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import accumulate

DURATION_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds
BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64)  # texts
_KINDS_AND_MEANINGS = {
    "nmt_requests_total": ("counter", "Requests answered, by endpoint and status."),
    "nmt_clients_gone_total": ("counter", "Requests whose client left before the answer."),
    "nmt_texts_total": ("counter", "Pieces of text translated."),
    "nmt_characters_total": ("counter", "Characters of source text translated."),
    "nmt_texts_dropped_total": ("counter", "Pieces of text that nobody waited for any more."),
    "nmt_worker_restarts_total": ("counter", "Engine workers that died and were replaced."),
    "nmt_queue_texts": ("gauge", "Pieces of text that wait or are being translated."),
    "nmt_open_requests": ("gauge", "Requests being answered."),
    "nmt_engines_ready": ("gauge", "Engine workers that have opened every run."),
    "nmt_request_duration_seconds": ("histogram", "Time until a request was answered, by endpoint."),
    "nmt_batch_texts": ("histogram", "Pieces of text per batch."),
}


class Histogram:
    """Counts of values up to each bound."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds, self.total = bounds, 0.0
        self.counts = [0] * (len(bounds) + 1)  # the last: of those above every bound

    def observe(self, value: float) -> None:
        """Count a value."""
        self.total += value
        self.counts[bisect_left(self.bounds, value)] += 1

    def lines(self, name: str, label: str = "") -> Iterator[str]:
        """The histogram as Prometheus reads it: cumulative counts, each with this label, such as `endpoint="/"`."""
        labels, label_and_comma = (f"{{{label}}}", f"{label},") if label else ("", "")
        for bound, cumulative in zip([*self.bounds, "+Inf"], accumulate(self.counts), strict=True):
            yield f'{name}_bucket{{{label_and_comma}le="{bound}"}} {cumulative}'
        yield f"{name}_sum{labels} {self.total:.6f}"
        yield f"{name}_count{labels} {sum(self.counts)}"


class Metrics:
    """The counters of a server."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.counts: defaultdict[str, int] = defaultdict(int)
        self.gauges: defaultdict[str, int] = defaultdict(int)
        self.request_durations: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(DURATION_BOUNDS))
        """By endpoint."""
        self.batch_texts = Histogram(BATCH_BOUNDS)

    def text(self) -> str:
        """All of them."""
        lines: list[str] = []
        for name, (kind, meaning) in _KINDS_AND_MEANINGS.items():
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}", *self._values(name, kind)]
        return "\n".join(lines) + "\n"

    def _values(self, name: str, kind: str) -> Iterator[str]:
        if name == "nmt_requests_total":
            for (endpoint, status), count in sorted(self.requests.items()):
                yield f'{name}{{endpoint="{endpoint}",status="{status}"}} {count}'
        elif name == "nmt_request_duration_seconds":
            for endpoint, histogram in sorted(self.request_durations.items()):
                yield from histogram.lines(name, f'endpoint="{endpoint}"')
        elif name == "nmt_batch_texts":
            yield from self.batch_texts.lines(name)
        else:
            yield f"{name} {(self.gauges if kind == 'gauge' else self.counts)[name]}"

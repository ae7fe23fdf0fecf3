"""Finished spans on their way to the collector: a queue with an end, emptied by a thread."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult

from voketag import metrics

WAITING_MAX = 4096
BATCH = 512
EVERY_S = 1.0
EXPORT_TIMEOUT_S = 5.0
LAST_TIMEOUT_S = 2.0  # of the 10 s in which a process has to leave
log = structlog.get_logger()


class SpanQueue(SpanProcessor):
    """Takes finished spans and never waits; what finds no room, or no collector, is counted."""

    def __init__(self, url: str) -> None:
        # It writes a line to standard error for each attempt; we say it once.
        logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
        logging.getLogger("opentelemetry").propagate = False
        self._exporter = OTLPSpanExporter(endpoint=url, timeout=EXPORT_TIMEOUT_S)
        self._waiting: deque[ReadableSpan] = deque()
        self._wanted = threading.Event()
        self._stopping = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        """Take a finished span."""
        if self._stopping or len(self._waiting) >= WAITING_MAX:
            metrics.SPANS_LOST.labels("queue").inc()
            return
        self._waiting.append(span)
        if len(self._waiting) >= BATCH:
            self._wanted.set()

    def shutdown(self) -> None:
        """Send what waits and end, within LAST_TIMEOUT_S; what is left then is lost."""
        self._stopping = True
        self._wanted.set()
        self._thread.join(LAST_TIMEOUT_S)
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # ends an attempt that is under way

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until nothing waits, so long at most; gives whether that is so."""
        ends_at = time.monotonic() + timeout_millis / 1000
        while self._waiting and time.monotonic() < ends_at:
            self._wanted.set()
            time.sleep(0.01)
        return not self._waiting

    def _run(self) -> None:
        while True:
            self._wanted.wait(EVERY_S)
            self._wanted.clear()
            while self._waiting:
                count = min(BATCH, len(self._waiting))
                self._send([self._waiting.popleft() for _ in range(count)])
            if self._stopping:
                return

    def _send(self, spans: list[ReadableSpan]) -> None:
        try:
            sent = self._exporter.export(spans) is SpanExportResult.SUCCESS
        except Exception as error:  # spans are lost by it, and nothing else
            log.exception("bug", what="traces", exc_info=error)
            sent = False
        if not sent:
            metrics.SPANS_LOST.labels("export").inc(len(spans))
        if sent is self._failing:
            self._failing = not sent
            if sent:
                log.info("traces are taken again")
            else:
                log.warning("traces are lost: VOKETAG_TRACES_URL does not take them")

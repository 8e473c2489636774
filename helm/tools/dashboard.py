#!/usr/bin/env python3
"""Writes files/dashboard.json, the Grafana dashboard, from the panels below, and copies what docs/monitoring has of it.

    dashboard.py            writes helm/files/dashboard.json, docs/monitoring/dashboard.json and docs/monitoring/alerts.yaml
    dashboard.py --check    fails where one of them is not what it would write

The source of the alerts is files/alerts.yaml.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

CHART = Path(__file__).resolve().parent.parent
DOCS = CHART.parent / "docs/monitoring"

# Of the selected installations, or of all.
SELECTOR = 'job=~"$job",namespace=~"$namespace"'
WIDTH = 24


@dataclass(frozen=True)
class Panel:
    """One panel; `queries` are PromQL, each with the legend of its series."""

    title: str
    text: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    stacked: bool = False
    red_below: float | None = None
    red_above: float | None = None


def rate(metric: str, by: str = "", more: str = "") -> str:
    """Sum of the rates of a counter."""
    inner = f"rate({series(metric, more)}[$__rate_interval])"
    return f"sum by ({by}) ({inner})" if by else f"sum({inner})"


def series(metric: str, more: str = "") -> str:
    """The series of a metric in the selection."""
    return f"coder_logstream_{metric}{{{SELECTOR}{',' if more else ''}{more}}}"


def quantiles(metric: str) -> tuple[tuple[str, str], ...]:
    """p50 and p99 of a histogram."""
    return tuple(
        (f"histogram_quantile({quantile}, {rate(f'{metric}_bucket', 'le')})", name)
        for quantile, name in ((0.5, "p50"), (0.99, "p99"))
    )


ROWS = {
    "Overview": (
        Panel("Versions", "Running processes by version.", ((f"count by (version) ({series('build_info')})", "{{version}}"),), kind="stat", width=4),
        Panel("Workspace objects", "Pods and workloads with an agent token.", ((f"max({series('workspace_objects')})", "objects"),), kind="stat", width=4),
        Panel("Lines delivered", "Lines that Coder accepted.", ((f"sum(increase({series('lines_delivered_total')}[$__range]))", "lines"),), kind="stat", width=4),
        Panel("Lines dropped", "Lines given up, for any reason.", ((f"sum(increase({series('lines_dropped_total')}[$__range]))", "lines"),), kind="stat", width=4, red_above=1),
        Panel("Pods missed by the webhook", "Workspace pods that only the watch found.", ((f"sum(increase({series('pods_missed_by_webhook_total')}[$__range]))", "pods"),), kind="stat", width=4, red_above=1),
        Panel("Certificate expires in", "Time until the serving certificate expires. Empty without the webhook.", ((f"min({series('certificate_expiration_timestamp_seconds')} > 0) - time()", "remaining"),), unit="s", kind="stat", width=4, red_below=3 * 86400),
    ),
    "Starts": (
        Panel("Failed starts by cause", "Starts with trouble, by cause: docs/failures.md explains each. Causes without any are left out.", (
            (f"sum by (cause) (increase({series('failures_total')}[$__rate_interval])) > 0", "{{cause}}"),
        ), stacked=True, width=16),
        Panel("Time to running", "From a pod's creation until all its containers run for the first time.", quantiles("time_to_running_seconds"), unit="s"),
        Panel("Most frequent causes", "The ten causes with the most failed starts in the selected time.", (
            (f"topk(10, sum by (cause) (increase({series('failures_total')}[$__range])) > 0)", "{{cause}}"),
        ), kind="bargauge", width=24),
    ),
    "Admission": (
        Panel("Reviews", "Reviews answered, by outcome. Each admits its pod.", ((rate("admission_reviews_total", "outcome"), "{{outcome}}"),), unit="reqps", stacked=True),
        Panel("Handling time", "Time for a review after its body was read.", quantiles("admission_handling_seconds"), unit="s"),
        Panel("Pods missed, registrations without a pod", "Workspace pods that only the watch found, and registrations whose object did not appear or that were not kept.", (
            (rate("pods_missed_by_webhook_total"), "missed"), (rate("registrations_expired_total"), "expired"), (rate("registrations_rejected_total"), "rejected"),
        ), unit="ops"),
        Panel("Connections", "Open connections of the webhook's port.", ((f"sum({series('webhook_connections')})", "open"),)),
        Panel("Rejected requests and handshakes", "Requests that are not reviews, failed TLS handshakes and refused connections.", (
            (rate("admission_rejections_total", "reason"), "{{reason}}"),
            (rate("webhook_handshake_failures_total", "reason"), "handshake: {{reason}}"),
            (rate("webhook_connections_refused_total"), "connections refused"),
        ), unit="ops", width=16),
    ),
    "Delivery": (
        Panel("Delay of a line", "From the time of a fact to the delivery of its line. It includes Kubernetes' own delay, and whole seconds in timestamps.", quantiles("line_delay_seconds"), unit="s"),
        Panel("Time in delivery", "From a line's creation to its delivery.", quantiles("line_delivery_seconds"), unit="s"),
        Panel("Lines by level", "Lines produced, before delivery.", ((rate("lines_rendered_total", "level"), "{{level}}"),), unit="ops", stacked=True),
        Panel("Lines waiting", "Lines held or in flight.", ((f"sum({series('lines_waiting')})", "waiting"),)),
        Panel("Lines dropped", "Lines given up, by reason.", ((rate("lines_dropped_total", "reason"), "{{reason}}"),), unit="ops", stacked=True),
        Panel("Agents", "Agents known to delivery, by state.", ((f"sum by (state) ({series('agents')})", "{{state}}"),), stacked=True),
        Panel("Requests to Coder", "Requests by outcome.", ((rate("coder_requests_total", "outcome"), "{{outcome}}"),), unit="reqps", stacked=True),
        Panel("Rate-limit headroom", "Share of Coder's rate limit that is left, by endpoint. Empty until Coder has answered.", (
            (f"min by (endpoint) (({series('coder_rate_remaining')} >= 0) / ({series('coder_rate_limit')} > 0))", "{{endpoint}}"),
        ), unit="percentunit"),
        Panel("Requests in flight", "Requests to Coder that are not answered yet.", ((f"sum({series('coder_requests_in_flight')})", "in flight"),)),
    ),
    "Watch and processing": (
        Panel("Watches in sync", "1 while every namespace of a resource is listed and watched, by the replica that leads.", ((f"max by (stream) ({series('watch_synced')})", "{{stream}}"),)),
        Panel("Watch errors", "Failed lists and watches by reason.", ((rate("watch_errors_total", "reason"), "{{reason}}"),), unit="ops", stacked=True),
        Panel("Lists after the first", "Relists by resource. Many mean a broken connection or an overloaded API server.", ((rate("watch_relists_total", "stream"), "{{stream}}"),), unit="ops", stacked=True),
        Panel("Facts without a line", "Facts that are not reported, by reason.", ((rate("facts_skipped_total", "reason"), "{{reason}}"),), unit="ops", stacked=True),
        Panel("Objects", "Pods and workloads followed, Events waiting for their object, and pending registrations.", (
            (f"sum({series('objects_tracked')})", "followed"), (f"sum({series('events_waiting')})", "Events waiting"), (f"sum({series('pending_registrations')})", "registrations pending"),
        )),
        Panel("Longest processing", "Time that the fact in processing has taken so far, by task.", ((f"max by (task) ({series('oldest_unprocessed_fact_age_seconds')})", "{{task}}"),), unit="s"),
    ),
    "Replicas and checkpoint": (
        Panel("Leader", "1 for the replica that delivers.", ((f"max by (instance) ({series('leader')})", "{{instance}}"),)),
        Panel("Elections", "Takeovers of the Lease, and failed requests for it.", (
            (rate("leader_transitions_total"), "takeovers"), (rate("lease_errors_total"), "errors"),
        ), unit="ops"),
        Panel("Checkpoint age", "Time since when the saved checkpoint is out of date.", ((f"max({series('checkpoint_age_seconds')})", "age"),), unit="s"),
    ),
    "Certificates": (
        Panel("Trusted", "1 if the caBundle verifies the served certificate.", ((f"min({series('certificate_trusted')})", "trusted"),)),
        Panel("Expiry", "Time until the serving certificate and the self-managed CA expire.", (
            (f"min({series('certificate_expiration_timestamp_seconds')} > 0) - time()", "serving certificate"),
            (f"min({series('certificate_ca_expiration_timestamp_seconds')} > 0) - time()", "CA"),
        ), unit="s"),
        Panel("Changes", "New serving certificates, patches of the caBundle, and certificates not used.", (
            (rate("certificate_changes_total"), "served"),
            (rate("certificate_ca_bundle_patches_total", "purpose"), "caBundle: {{purpose}}"),
            (rate("certificate_bundles_refused_total", "reason"), "not used: {{reason}}"),
        ), unit="ops"),
    ),
    "Process": (
        Panel("Memory", "Resident memory.", ((f"max by (instance) (process_resident_memory_bytes{{{SELECTOR}}} and on (instance) {series('build_info')})", "{{instance}}"),), unit="bytes"),
        Panel("CPU", "Share of one core.", ((f"max by (instance) (rate(process_cpu_seconds_total{{{SELECTOR}}}[$__rate_interval]) and on (instance) {series('build_info')})", "{{instance}}"),), unit="percentunit"),
        Panel("Open files", "Open file descriptors.", ((f"max by (instance) (process_open_fds{{{SELECTOR}}} and on (instance) {series('build_info')})", "{{instance}}"),)),
    ),
}


def dashboard() -> dict:
    """The whole dashboard, as Grafana 10 and later import it."""
    panels, y, number = [], 0, 1
    for title, row in ROWS.items():
        panels.append({"id": number, "type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}})
        number, y, x = number + 1, y + 1, 0
        for panel in row:
            height = 4 if panel.kind == "stat" else 8
            if x + panel.width > WIDTH:
                x, y = 0, y + height
            panels.append(rendered(panel, number, {"x": x, "y": y, "w": panel.width, "h": height}))
            number, x = number + 1, x + panel.width
        y += height
    return {
        "uid": "coder-logstream-kube",
        "title": "coder-logstream-kube",
        "description": "Kubernetes events in the startup logs of Coder workspaces",
        "tags": ["coder", "kubernetes"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "1m",
        "timezone": "",
        "templating": {"list": variables()},
        "annotations": {"list": []},
        "links": [],
        "panels": panels,
    }


def variables() -> list[dict]:
    """The data source, and the installations shown."""
    source = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}, "hide": 0}
    return [source, *(variable(label) for label in ("job", "namespace"))]


def variable(label: str) -> dict:
    """The values that a label of the target has. Empty values count too: a plain scrape sets no namespace."""
    query = f"label_values(coder_logstream_build_info, {label})"
    return {
        "name": label,
        "label": label.capitalize(),
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "$datasource"},
        "definition": query,
        "query": {"query": query, "refId": label},
        "refresh": 2,
        "sort": 1,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "hide": 0,
    }


def rendered(panel: Panel, number: int, position: dict) -> dict:
    """A panel as Grafana reads it."""
    source = {"type": "prometheus", "uid": "$datasource"}
    thresholds = [{"color": "green", "value": None}]
    if panel.red_above is not None:
        thresholds.append({"color": "red", "value": panel.red_above})
    if panel.red_below is not None:
        thresholds = [{"color": "red", "value": None}, {"color": "green", "value": panel.red_below}]
    defaults = {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": thresholds}}
    if panel.unit == "s" and panel.kind == "stat":
        del defaults["min"]
    options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "textMode": "auto"}
    if panel.kind == "bargauge":
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "orientation": "horizontal", "displayMode": "basic"}
    if panel.kind == "timeseries":
        defaults["custom"] = {"fillOpacity": 20 if panel.stacked else 0, "stacking": {"mode": "normal" if panel.stacked else "none"}}
        options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": source,
        "gridPos": position,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": source, "expr": expr, "legendFormat": legend, "instant": panel.kind != "timeseries", "range": panel.kind == "timeseries"}
            for place, (expr, legend) in enumerate(panel.queries)
        ],
    }


def main() -> int:
    text = json.dumps(dashboard(), indent=1) + "\n"
    alerts = (CHART / "files/alerts.yaml").read_text()
    wanted = {CHART / "files/dashboard.json": text, DOCS / "dashboard.json": text, DOCS / "alerts.yaml": alerts}
    if sys.argv[1:] == ["--check"]:
        wrong = [path for path, content in wanted.items() if not path.is_file() or path.read_text() != content]
        for path in wrong:
            print(f"{path.relative_to(CHART.parent)} is out of date: run helm/tools/dashboard.py", file=sys.stderr)
        return 1 if wrong else 0
    if sys.argv[1:]:
        print(__doc__, file=sys.stderr)
        return 2
    DOCS.mkdir(parents=True, exist_ok=True)
    for path, content in wanted.items():
        path.write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())

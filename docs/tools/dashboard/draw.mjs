// Draws the panels of helm/files/dashboard.json as a page, from what a Prometheus has.
//
//   node draw.mjs PROMETHEUS_URL > page.html
//
// All that the Prometheus has scraped is shown. Rates are taken over 15 seconds, as the run is short: Grafana chooses a
// longer time for its longer ranges.

import { readFileSync } from "node:fs";
import * as echarts from "echarts";

const DASHBOARD = new URL("../../../helm/files/dashboard.json", import.meta.url);
const RATE_SECONDS = 15;
/** Measures of the page, in pixels. */
const [WIDTH, ROW, GAP] = [1100, 22, 6];
const COLOURS = [
  "#3274d9", "#e0752d", "#56a64b", "#c4162a", "#8f3bb8", "#c8a415", "#2aa198", "#b877d9", "#7b5b3a", "#6e7683",
  "#ff7383", "#1f60c4", "#96d98d", "#ffb357",
];

const prometheus = process.argv[2];
const dashboard = JSON.parse(readFileSync(DASHBOARD, "utf8"));

async function get(path, parameters) {
  const response = await fetch(new URL(`${path}?${new URLSearchParams(parameters)}`, prometheus));
  const answer = await response.json();
  if (answer.status !== "success") throw new Error(`${JSON.stringify(parameters)}: ${answer.error}`);
  return answer.data;
}

/** The seconds of the first and the last sample. */
async function range() {
  const { minTime, maxTime } = (await get("/api/v1/status/tsdb", {})).headStats;
  return { start: Math.ceil(minTime / 1000), end: Math.floor(maxTime / 1000) };
}

/** The series of a panel: their names and points, one for each second, or the last value alone. */
async function series(panel, { start, end }) {
  const all = [];
  for (const target of panel.targets) {
    const query = target.expr
      .replaceAll("$__rate_interval", `${RATE_SECONDS}s`)
      .replaceAll("$__range", `${end - start}s`)
      .replaceAll(/\$(job|namespace)/g, ".*");
    const { result } = target.instant
      ? await get("/api/v1/query", { query, time: end })
      : await get("/api/v1/query_range", { query, start, end, step: 1 });
    for (const { metric, value, values } of result) {
      const name = target.legendFormat.replaceAll(/{{(\w+)}}/g, (_, label) => metric[label] ?? "");
      const points = (values ?? [value]).map(([at, text]) => [at * 1000, Number(text)]);
      all.push({ name, points: points.filter(([, number]) => !Number.isNaN(number)) });
    }
  }
  return all;
}

const short = (value) => String(Number(value.toPrecision(3)));
const UNITS = {
  short: (value) => (Math.abs(value) >= 1000 ? `${short(value / 1000)} K` : short(value)),
  reqps: (value) => `${short(value)} req/s`,
  ops: (value) => `${short(value)} /s`,
  percentunit: (value) => `${short(value * 100)}%`,
  bytes: (value) => (value === 0 ? "0" : `${short(value / 2 ** 20)} MiB`),
  s: (value) => {
    if (value === 0) return "0";
    if (Math.abs(value) < 1) return `${short(value * 1000)} ms`;
    if (Math.abs(value) < 120) return `${short(value)} s`;
    if (Math.abs(value) < 2 * 3600) return `${short(value / 60)} min`;
    return Math.abs(value) < 2 * 86400 ? `${short(value / 3600)} h` : `${short(value / 86400)} d`;
  },
};

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

/** The names of the series, without those that are 0 throughout, unless all are. */
function legend(series) {
  const coloured = series.map(({ name, points }, i) => ({ name, points, colour: COLOURS[i % COLOURS.length] }));
  const shown = coloured.filter(({ points }) => points.some(([, value]) => value !== 0));
  const entry = ({ name, colour }) => `<span><i style="background:${colour}"></i>${escaped(name)}</span>`;
  return (shown.length > 0 ? shown : coloured).map(entry).join("");
}

/** The colour of a value by the panel's thresholds. */
function threshold(panel, value) {
  const steps = panel.fieldConfig.defaults.thresholds.steps.filter((step) => step.value === null || value >= step.value);
  return steps.at(-1).color === "red" ? "#c4162a" : "#37872d";
}

function stat(panel, series) {
  const format = UNITS[panel.fieldConfig.defaults.unit];
  return series.map(({ name, points }) => {
    const value = points.at(-1)[1];
    const named = panel.targets[0].legendFormat.includes("{{") ? `<small>${escaped(name)}</small>` : "";
    return `<div class="stat" style="color:${threshold(panel, value)}">${named}${format(value)}</div>`;
  }).join("");
}

function bars(panel, series) {
  const sorted = series.toSorted((one, other) => other.points[0][1] - one.points[0][1]);
  const most = sorted[0]?.points[0][1];
  const bar = ({ name, points: [[, value]] }) =>
    `<div class="bar"><span>${escaped(name)}</span><b style="width:${(70 * value) / most}%"></b><em>${Math.round(value)}</em></div>`;
  return sorted.map(bar).join("");
}

function lines(panel, series, { start, end }, width, height) {
  const { unit, custom } = panel.fieldConfig.defaults;
  const stacked = custom.stacking.mode === "normal";
  const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width, height });
  const axis = { axisLabel: { fontSize: 10, color: "#555" }, splitLine: { show: true, lineStyle: { color: "#eee" } } };
  chart.setOption({
    animation: false,
    color: COLOURS,
    grid: { left: 58, right: 8, top: 8, bottom: 20 },
    xAxis: { ...axis, type: "time", min: start * 1000, max: end * 1000, splitNumber: 5, axisLabel: {
      ...axis.axisLabel,
      hideOverlap: true,
      formatter: (at) => new Date(at).toISOString().slice(11, 19),
    } },
    yAxis: { ...axis, type: "value", min: 0, splitNumber: 3, axisLabel: { ...axis.axisLabel, formatter: UNITS[unit] } },
    series: series.map(({ name, points }) => ({
      name,
      type: "line",
      data: filled(points, start, end, stacked ? 0 : null),
      stack: stacked ? "all" : undefined,
      areaStyle: stacked ? { opacity: 0.2 } : undefined,
      symbol: "none",
      lineStyle: { width: 1.2 },
    })),
  });
  const svg = chart.renderToSVGString();
  // Otherwise it would keep this process running.
  chart.dispose();
  return svg;
}

/** Points for each second, also where there is no value. */
function filled(points, start, end, missing) {
  const values = new Map(points);
  return Array.from({ length: end - start + 1 }, (_, i) => [(start + i) * 1000, values.get((start + i) * 1000) ?? missing]);
}

async function drawn(panel, times) {
  const { x, y, w, h } = panel.gridPos;
  const place = `grid-area:${y + 1}/${x + 1}/span ${h}/span ${w}`;
  if (panel.type === "row") return `<h2 style="${place}">${escaped(panel.title)}</h2>`;
  const all = await series(panel, times);
  if (all.length === 0) throw new Error(`${panel.title} has no data`);
  const height = h * ROW + (h - 1) * GAP - 24;
  const width = (w * (WIDTH - 23 * GAP)) / 24 + (w - 1) * GAP - 8;
  const content = {
    stat: () => stat(panel, all),
    bargauge: () => bars(panel, all),
    timeseries: () => `${lines(panel, all, times, width, height - 20)}<div class="legend">${legend(all)}</div>`,
  }[panel.type]();
  return `<section style="${place}"><h3>${escaped(panel.title)}</h3>${content}</section>`;
}

const times = await range();
const panels = await Promise.all(dashboard.panels.map((panel) => drawn(panel, times)));
const rows = Math.max(...dashboard.panels.map(({ gridPos: { y, h } }) => y + h));
console.log(`<!doctype html>
<!-- ${WIDTH + 16}x${rows * (ROW + GAP) + 10} -->
<meta charset="utf-8">
<title>${escaped(dashboard.title)}</title>
<style>
body { margin: 8px; width: ${WIDTH}px; background: #f4f5f5; color: #222; font: 12px "DejaVu Sans", sans-serif; }
main { display: grid; grid-template-columns: repeat(24, 1fr); grid-auto-rows: ${ROW}px; gap: ${GAP}px; }
h2 { margin: 0; font-size: 14px; line-height: ${ROW}px; }
section { background: #fff; border: 1px solid #ddd; border-radius: 2px; padding: 0 3px; overflow: hidden; min-width: 0; }
h3 { margin: 0; padding-left: 4px; font-size: 10px; line-height: 22px; white-space: nowrap; }
.legend { height: 18px; overflow: hidden; padding: 0 6px; font-size: 10px; white-space: nowrap; text-overflow: ellipsis; }
.legend span { margin-right: 10px; }
.legend i { display: inline-block; width: 12px; height: 3px; margin-right: 4px; vertical-align: middle; }
.stat { text-align: center; font-size: 28px; line-height: 52px; white-space: nowrap; }
.stat small { font-size: 14px; margin-right: 12px; color: #444; }
.bar { display: flex; align-items: center; gap: 8px; height: 20px; }
.bar span { width: 18%; text-align: right; }
.bar b { height: 12px; background: #56a64b; }
.bar em { font-style: normal; }
</style>
<main>
${panels.join("\n")}
</main>`);

// The panels that all dashboards are made of.

import {
  type Dashboard,
  DashboardCursorSync,
  type DataSourceRef,
  FieldColorModeId,
  type GraphFieldConfig,
  GraphDrawStyle,
  LegendDisplayMode,
  type Panel,
  type RowPanel,
  SortOrder,
  StackingMode,
  ThresholdsMode,
  TooltipDisplayMode,
  VariableHide,
  type VariableModel,
  VariableRefresh,
} from "@grafana/schema";

/** The Prometheus that the reader chooses. */
const SOURCE: DataSourceRef = { type: "prometheus", uid: "${datasource}" };

/** Unit of a panel, in Grafana's words. */
export type Unit =
  | "bytes"
  | "currencyUSD"
  | "ops"
  | "percentunit"
  | "reqps"
  | "s"
  | "short";

/** One query, and what its series are called. */
export interface Query {
  expr: string;
  legend: string;
}

export interface Chart {
  title: string;
  /** What it shows, and what to think of it. */
  description: string;
  unit: Unit;
  queries: Query[];
  /** From where on it is bad. */
  limit?: number;
  /** Whether the series add up to something. */
  stacked?: boolean;
}

/** Panels side by side below a heading. */
export interface Row {
  title: string;
  charts: Chart[];
}

function targets(queries: Query[]): Record<string, unknown>[] {
  return queries.map(({ expr, legend }, at) => ({
    refId: String.fromCharCode(65 + at),
    datasource: SOURCE,
    expr,
    legendFormat: legend,
    // Leads from a point of the chart to its trace.
    exemplar: true,
  }));
}

function chart(
  { title, description, unit, queries, limit, stacked }: Chart,
  id: number,
  gridPos: NonNullable<Panel["gridPos"]>,
): Panel<Record<string, unknown>, GraphFieldConfig> {
  return {
    id,
    type: "timeseries",
    title,
    description,
    datasource: SOURCE,
    gridPos,
    targets: targets(queries),
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        color: { mode: FieldColorModeId.PaletteClassic },
        thresholds: {
          mode: ThresholdsMode.Absolute,
          steps: [
            { color: "green", value: null },
            ...(limit === undefined ? [] : [{ color: "red", value: limit }]),
          ],
        },
        custom: {
          drawStyle: GraphDrawStyle.Line,
          fillOpacity: stacked ? 40 : 0,
          stacking: { mode: stacked ? StackingMode.Normal : StackingMode.None },
          thresholdsStyle: { mode: limit === undefined ? "off" : "line" } as NonNullable<
            GraphFieldConfig["thresholdsStyle"]
          >,
        },
      },
      overrides: [],
    },
    options: {
      legend: {
        displayMode: LegendDisplayMode.Table,
        placement: "bottom",
        showLegend: true,
        calcs: ["lastNotNull", "max"],
      },
      tooltip: { mode: TooltipDisplayMode.Multi, sort: SortOrder.Descending },
    },
  };
}

const WIDTH = 24;
const HEIGHT = 8;

function layOut(rows: Row[]): (Panel | RowPanel)[] {
  const panels: (Panel | RowPanel)[] = [];
  let y = 0;
  for (const { title, charts } of rows) {
    const heading: RowPanel = {
      id: panels.length + 1,
      type: "row",
      title,
      collapsed: false,
      panels: [],
      gridPos: { x: 0, y, w: WIDTH, h: 1 },
    };
    panels.push(heading);
    y += 1;
    const w = Math.floor(WIDTH / charts.length);
    charts.forEach((one, at) => {
      const gridPos = { x: at * w, y, w, h: HEIGHT };
      panels.push(chart(one, panels.length + 1, gridPos) as Panel);
    });
    y += HEIGHT;
  }
  return panels;
}

/** A variable whose values are those of a label. */
export function choice(name: string, label: string, metric: string): VariableModel {
  return {
    name,
    label,
    type: "query",
    datasource: SOURCE,
    query: { query: `label_values(${metric}, ${name})`, refId: name },
    refresh: VariableRefresh.onTimeRangeChanged,
    multi: true,
    includeAll: true,
    allValue: ".*",
    current: { text: "All", value: "$__all" },
    hide: VariableHide.dontHide,
  };
}

export function dashboard(
  uid: string,
  title: string,
  description: string,
  variables: VariableModel[],
  rows: Row[],
): Dashboard {
  const source: VariableModel = {
    name: "datasource",
    label: "Prometheus",
    type: "datasource",
    query: "prometheus",
    hide: VariableHide.dontHide,
  };
  return {
    uid,
    title,
    description,
    tags: ["omnitrace"],
    schemaVersion: 41,
    editable: true,
    graphTooltip: DashboardCursorSync.Crosshair,
    refresh: "30s",
    time: { from: "now-6h", to: "now" },
    timezone: "browser",
    templating: { list: [source, ...variables] },
    panels: layOut(rows),
  };
}

/** A quantile of a histogram, over the labels that stay. */
export function quantile(q: number, metric: string, by: string[], selector = ""): string {
  const labels = [...by, "le"].join(", ");
  return `histogram_quantile(${q}, sum by (${labels}) (rate(${metric}_bucket${selector}[$__rate_interval])))`;
}

/** How fast a counter grows, over the labels that stay. */
export function rate(metric: string, by: string[], selector = ""): string {
  return `sum by (${by.join(", ")}) (rate(${metric}${selector}[$__rate_interval]))`;
}

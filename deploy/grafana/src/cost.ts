// What language models cost, and whom.

import { dashboard, quantile, rate } from "./panels.js";

export default dashboard(
  "omnitrace-cost",
  "OmniTrace: cost",
  "Tokens and their cost, by model, tenant and type. Tenants are hashed.",
  [],
  [
    {
      title: "Cost",
      charts: [
        {
          title: "Cost of a day",
          description: "Of the last 24 hours, beside the budget of prometheus/rules/settings.yml.",
          unit: "currencyUSD",
          queries: [
            { expr: "sum(increase(token_cost_usd[1d]))", legend: "cost" },
            { expr: "omnitrace:budget_usd_per_day", legend: "budget" },
          ],
        },
        {
          title: "Pace",
          description: "What a day costs at the pace of the moment.",
          unit: "currencyUSD",
          queries: [
            { expr: "sum(rate(token_cost_usd[2m])) * 86400", legend: "a day" },
            { expr: "3 * omnitrace:budget_usd_per_day", legend: "BudgetBurn" },
          ],
        },
      ],
    },
    {
      title: "Who and what",
      charts: [
        {
          title: "By model",
          description: "Cost of an hour.",
          unit: "currencyUSD",
          stacked: true,
          queries: [{ expr: "sum by (model) (increase(token_cost_usd[1h]))", legend: "{{model}}" }],
        },
        {
          title: "By tenant",
          description: "Cost of an hour.",
          unit: "currencyUSD",
          stacked: true,
          queries: [{ expr: "topk(10, sum by (tenant) (increase(token_cost_usd[1h])))", legend: "{{tenant}}" }],
        },
        {
          title: "By workflow type",
          description: "Cost of an hour.",
          unit: "currencyUSD",
          stacked: true,
          queries: [{ expr: "sum by (job) (increase(workflow_cost_usd[1h]))", legend: "{{job}}" }],
        },
      ],
    },
    {
      title: "Models",
      charts: [
        {
          title: "Tokens",
          description: "Tokens per second, read and written.",
          unit: "short",
          stacked: true,
          queries: [
            {
              expr: rate("gen_ai_client_token_usage_sum", ["gen_ai_request_model", "gen_ai_token_type"]),
              legend: "{{gen_ai_request_model}} {{gen_ai_token_type}}",
            },
          ],
        },
        {
          title: "Latency of models",
          description: "p95 of a call.",
          unit: "s",
          queries: [
            {
              expr: quantile(0.95, "gen_ai_client_operation_duration_seconds", ["gen_ai_request_model"]),
              legend: "{{gen_ai_request_model}}",
            },
          ],
        },
      ],
    },
  ],
);

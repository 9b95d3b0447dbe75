import { readdirSync, readFileSync } from "node:fs";
import { loadWorld, parseScenario, runScenario, scenarioView, verdictName } from "hopwise";

const folder = "topologies/shop/";
const texts = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((file) => file.includes("."))
  .map((file) => ({ file, text: readFileSync(folder + file, "utf8") }));
const world = loadWorld(texts, "my shop");

const scenario = parseScenario({
  file: "last-endpoint.yaml",
  text: `
scenario: last-endpoint
steps:
  - request: {from: shop/api-0, to: "shop/web:80"}
    expect: {outcome: delivered, by: shop/web-0}
  - {at: 10s, delete: {object: pod shop/web-0, grace: 30s}}
  - {at: 20s, request: {from: shop/api-0, to: "shop/web:80"}, expect: delivered}
  - {at: 50s, request: {from: shop/api-0, to: "shop/web:80"}}
`,
});

const view = scenarioView(runScenario(world, scenario, { seed: 1 }));
for (const { step, trace } of view.steps)
  console.log(step.from / 1e6, "s", step.title, trace && verdictName(trace.verdict));
console.log(view.failed, "of", view.expected, "expectations failed");

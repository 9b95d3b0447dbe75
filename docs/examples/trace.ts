import { readdirSync, readFileSync } from "node:fs";
import { formatTrace, loadWorld, traceRequest, verdictName, viewOf } from "hopwise";

// The library never reads files: texts are handed in, with the names that messages call them by.
const folder = "topologies/shop/";
const texts = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((file) => file.includes("."))
  .map((file) => ({ file, text: readFileSync(folder + file, "utf8") }));
const world = loadWorld(texts, "my shop");

const recording = traceRequest(world, {
  source: "shop/web-0",
  destination: "shop/api:80",
  protocol: "tcp",
  sourcePort: 40_000,
  ttl: undefined,
  seed: 1,
  endpoint: undefined,
  oneWay: false,
});

const view = viewOf(recording);
console.log(verdictName(view.verdict)); // DELIVERED
console.log(view.steps.length, "steps");
console.log(formatTrace(view, { all: false }));

// How long the screen takes from a key to the terminal, with a trace of 5,000 steps, at three sizes:
//   node scripts/bench-tui.mjs [--json] [--large] [FOLDER]
// FOLDER holds dist; --large also measures the memory that 100,000 steps take. Budgets: spec of the screen, on 2 cores.
// The program runs as it is, on a terminal that only counts what is written: Ink draws as soon as a key was read.
import { EventEmitter } from "node:events";
import { performance } from "node:perf_hooks";
import { pathToFileURL } from "node:url";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

process.env.NODE_ENV = "production";
const words = process.argv.slice(2);
const folder = words.find((word) => !word.startsWith("--")) ?? ".";
const load = (path) => import(pathToFileURL(resolve(folder, "dist", path)).href);
const [{ readWorlds }, { loadWorld }, { runTui }] = await Promise.all([
  load("cli/files.js"),
  load("lab/world.js"),
  load("tui/run.js"),
]);

const SIZES = [
  { columns: 80, rows: 24, budget: 40 },
  { columns: 120, rows: 40, budget: 60 },
  { columns: 200, rows: 50, budget: 100 },
];
const KEYS = 300;

if (words.includes("--large")) await large();
else await latency();

async function latency() {
  const world = worldOfSteps(5000);
  const results = [];
  for (const size of SIZES) results.push(await measure(world, size));
  if (words.includes("--json")) {
    process.stdout.write(`${JSON.stringify(results)}\n`);
    return;
  }
  const cells = (row) => [
    row.size,
    String(row.steps),
    row.first.toFixed(0),
    row.p50.toFixed(1),
    row.p95.toFixed(1),
    String(row.budget),
    row.work.toFixed(1),
    String(row.bytes),
    row.flood.toFixed(0),
  ];
  const header = [
    "size",
    "steps",
    "first frame ms",
    "p50 ms",
    "p95 ms",
    "budget",
    "CPU ms/key",
    "bytes/key",
    "200 keys ms",
  ];
  const table = [header, ...results.map(cells)];
  const widths = header.map((_, column) => Math.max(...table.map((row) => row[column].length)));
  for (const row of table)
    process.stdout.write(
      `${row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join("  ")
        .trimEnd()}\n`,
    );
}

async function large() {
  const before = process.memoryUsage().rss;
  const result = await measure(
    worldOfSteps(100_000),
    { columns: 120, rows: 40, budget: 60 },
    "/effect == nomatch\r",
  );
  const megabytes = (bytes) => (bytes / 1024 / 1024).toFixed(0);
  process.stdout.write(
    `${result.steps} steps: p50 ${result.p50.toFixed(1)} ms, p95 ${result.p95.toFixed(1)} ms, ${megabytes(process.memoryUsage().rss)} MB (${megabytes(before)} MB before)\n`,
  );
}

/** demo:shop with rules on worker-1 for marks that no packet has: each is a step of the request and one of the reply. */
function worldOfSteps(steps) {
  const rules = Array.from(
    { length: Math.ceil(steps / 2) },
    (_, index) => `-A PREROUTING -m mark --mark 0x${(index + 1).toString(16)} -j DROP`,
  );
  const text = `*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n${rules.join("\n")}\nCOMMIT\n`;
  return loadWorld(
    [...readWorlds(["demo:shop"]), { file: "worker-1.rules", text }],
    "demo:shop and rules",
  );
}

/** Opens the screen, presses keys, leaves it. */
async function measure(world, { columns, rows, budget }, prepare = "") {
  const stdin = Object.assign(new EventEmitter(), {
    isTTY: true,
    setEncoding() {},
    setRawMode() {},
    resume() {},
    pause() {},
  });
  let written = 0;
  let drawn = 0;
  let text = "";
  const stdout = Object.assign(new EventEmitter(), {
    columns,
    rows,
    isTTY: true,
    write(chunk) {
      written += chunk.length;
      drawn = performance.now();
      text += chunk;
      return true;
    },
  });
  const start = performance.now();
  const ended = runTui({
    stdin,
    stdout,
    err: (message) => process.stderr.write(message),
    world,
    trace: "shop/web-0 http://api.shop",
    outside: { openWorld: () => world },
    demos: [],
    palette: { colour: true, ascii: false },
    mouse: false,
    cacheDir: join(tmpdir(), "hopwise-bench"),
    editor: "true",
    crash: false,
  });
  const first = performance.now() - start;
  const steps = Number(/1\/(\d+) /.exec(text)?.[1]);
  if (prepare !== "") stdin.emit("data", prepare);
  const press = async (keys) => {
    const before = performance.now();
    const length = written;
    stdin.emit("data", keys);
    await new Promise((done) => setImmediate(done));
    if (written === length)
      throw new Error(`"${keys}" drew nothing at key ${times.length} of ${steps} steps`);
    text = "";
    return drawn - before;
  };
  const times = [];
  written = 0;
  const cpu = process.cpuUsage();
  // Down, with a look back now and then.
  for (let index = 0; index < KEYS; index++) times.push(await press(index % 5 === 4 ? "k" : "j"));
  const bytes = Math.round(written / KEYS);
  const { user, system } = process.cpuUsage(cpu);
  const work = (user + system) / 1000 / KEYS;
  const flood = await press("j".repeat(200));
  stdin.emit("data", "q");
  await ended;
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.floor(times.length * share)];
  return {
    size: `${columns}x${rows}`,
    steps,
    first,
    p50: at(0.5),
    p95: at(0.95),
    work,
    max: times.at(-1),
    budget,
    bytes,
    flood,
  };
}

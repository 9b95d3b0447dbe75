// How much memory a long capture takes on the screen, and how long its keys take:
//   node scripts/bench-capture.mjs [--steps N] [FOLDER]
// FOLDER holds dist. A connection that the real kernel made (test/golden/captures/web-0.pcap) is repeated from other
// ports until its packets have N steps, 100,000 unless said. The whole program runs, on a terminal that only counts:
// the capture is replayed, filtered, gone through, and packets all over it are opened and stepped through both ways.
// The memory is the most that the process ever had (its resident set).
import { EventEmitter } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

process.env.NODE_ENV = "production";
const words = process.argv.slice(2);
const wanted = words.includes("--steps") ? Number(words[words.indexOf("--steps") + 1]) : 100_000;
const folder =
  words.find((word, index) => !word.startsWith("--") && words[index - 1] !== "--steps") ?? ".";
const load = (path) => import(pathToFileURL(resolve(folder, "dist", path)).href);
const [{ readBytes, readWorlds }, { loadWorld }, { runTui }] = await Promise.all([
  load("cli/files.js"),
  load("lab/world.js"),
  load("tui/run.js"),
]);
const BUDGET = 350;

const temporary = mkdtempSync(join(tmpdir(), "hopwise-bench-"));
const file = join(temporary, "long.pcap");
const { packets, perPacket } = await longCapture();
await measure();
rmSync(temporary, { recursive: true });

/** Writes the capture: ports and addresses of each copy are its own, checksums are computed anew. */
async function longCapture() {
  const [{ readCapture }, { packetBytes }, { decodeFrame, encodeFrame }, { encodePcap }] =
    await Promise.all(
      ["wire/read-capture.js", "wire/capture.js", "wire/frame.js", "wire/pcap.js"].map(load),
    );
  const golden = "test/golden/captures/web-0.pcap";
  const capture = readCapture(golden, readFileSync(golden));
  const connection = capture.packets.filter(({ number }) => number >= 17 && number <= 26);
  const frames = connection.map((packet) => decodeFrame(packetBytes(capture, packet)).value);
  // What one packet of it comes to in steps, seen in replays of the connection.
  const each = 21;
  const copies = Math.ceil(wanted / (each * frames.length));
  const list = [];
  for (let copy = 0; copy < copies; copy++)
    frames.forEach((frame, index) => {
      const { transport } = frame;
      const port = 1024 + (copy % 60_000);
      const other =
        transport.destinationPort === 80
          ? { ...transport, sourcePort: port, checksumError: undefined }
          : { ...transport, destinationPort: port, checksumError: undefined };
      const time = copy * 10_000 + index * 100;
      list.push({ time, bytes: encodeFrame({ ...frame, transport: other }) });
    });
  writeFileSync(file, encodePcap(list));
  return { packets: list.length, perPacket: each };
}

async function measure() {
  const world = loadWorld(readWorlds(["demo:shop"]), "demo:shop");
  const before = process.memoryUsage().rss;
  const stdin = Object.assign(new EventEmitter(), {
    isTTY: true,
    setEncoding() {},
    setRawMode() {},
    resume() {},
    pause() {},
  });
  let drawn = 0;
  let text = "";
  const stdout = Object.assign(new EventEmitter(), {
    columns: 120,
    rows: 40,
    isTTY: true,
    write(chunk) {
      drawn = performance.now();
      text = (text + chunk).slice(-20_000);
      return true;
    },
  });
  const start = performance.now();
  const ended = runTui({
    stdin,
    stdout,
    err: (message) => process.stderr.write(message),
    world,
    trace: undefined,
    replay: `${file} --at shop/web-0:eth0`,
    outside: { openWorld: () => world, readBytes },
    demos: [],
    palette: { colour: true, ascii: false },
    mouse: false,
    cacheDir: temporary,
    editor: "true",
    crash: false,
  });
  const rest = () => new Promise((done) => setImmediate(done));
  while (!/(\d+) steps/.test(text)) {
    if (performance.now() - start > 600_000) throw new Error(`nothing came of it: ${text}`);
    await rest();
  }
  const replayed = (performance.now() - start) / 1000;
  const steps = Number(/(\d+) steps/.exec(text)?.[1]);
  const times = [];
  const press = async (keys, count = 1) => {
    for (let n = 0; n < count; n++) {
      const from = performance.now();
      stdin.emit("data", keys);
      await rest();
      times.push(Math.max(0, drawn - from));
    }
  };
  const filtering = performance.now();
  await press('/verdict == delivered and ip.dst == 10.96.44.10 and bpf:"tcp port 80"\r');
  const filtered = performance.now() - filtering;
  times.length = 0;
  await press("j", 100);
  for (const place of ["g", "G", "g"]) {
    await press(place);
    for (let row = 0; row < 20; row++) {
      await press("j", 3);
      await press("\r");
      await press("j", 20);
      await press("k", 10);
      await press("4");
      await press("5");
      await press("q");
    }
  }
  stdin.emit("data", "\u0003");
  await ended;
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.floor(times.length * share)]?.toFixed(1);
  const megabytes = (bytes) => Math.round(bytes / 1024 / 1024);
  const most = megabytes(process.resourceUsage().maxRSS * 1024);
  process.stdout.write(
    `${[
      `capture: ${packets} packets, ${steps} steps (${perPacket} expected for each)`,
      `replayed in ${replayed.toFixed(1)} s, filtered in ${filtered.toFixed(0)} ms`,
      `keys p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, most ${at(0.999)} ms`,
      `memory ${most} MB at most, budget ${BUDGET} MB (${megabytes(before)} MB before)`,
    ].join("\n")}\n`,
  );
  if (most > BUDGET) process.exitCode = 1;
}

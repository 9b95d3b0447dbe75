import { devQueueXmit } from "../../src/core/device.js";
import { newSkb, type Simulation } from "../../src/core/simulation.js";
import type { NetworkNamespace } from "../../src/core/namespace.js";
import type { TraceEvent } from "../../src/core/trace.js";
import { familyOf } from "../../src/inet/families.js";
import { PingSocket } from "../../src/inet/ping.js";
import { connectTcp } from "../../src/inet/tcp-socket.js";
import { UdpSocket } from "../../src/inet/udp-socket.js";
import { buildLab } from "../../src/lab/build.js";
import { type Lab, usesIpv6 } from "../../src/lab/lab.js";
import { later, microseconds, seconds } from "../../src/sim/time.js";
import { runTool } from "../../src/tools/index.js";
import { encodeFrame } from "../../src/wire/frame.js";
import { probeKnobs, profile, profile6 } from "./profile.js";
import type { SeenFrame } from "./normalise.js";
import { type Observation, type ProbeSpec, savers6 } from "./observation.js";

/** Builds the same lab in the emulator, runs the same probes one after the other, and reads the same tables. */
export function emulate(lab: Lab, probes: readonly ProbeSpec[], seed = 1): Observation {
  const commands = lab.namespaces.flatMap((ns) =>
    [...profile, ...(usesIpv6(lab) ? profile6 : [])].map((knob) => ({
      ns,
      argv: ["sysctl", "-w", knob],
    })),
  );
  const sim = buildLab({ ...lab, commands: [...commands, ...lab.commands] }, seed);
  for (const ns of sim.namespaces.values())
    for (const dev of ns.devices.keys())
      for (const knob of probeKnobs(dev, lab))
        runTool(sim, { ns: ns.name, argv: ["sysctl", "-qw", knob] });
  const frames: SeenFrame[] = [];
  const watch = (event: TraceEvent): void => {
    if (event.kind !== "device" || event.dev === undefined) return;
    frames.push({
      ns: event.ns,
      dev: event.dev,
      direction: event.direction,
      bytes: encodeFrame(event.frame),
    });
  };
  // What programs that join groups cause is seen from their start on.
  if (!usesIpv6(lab) && lab.listeners.some(({ groups }) => groups !== undefined)) sim.trace = watch;
  sim.runUntilIdle(later(sim.queue.now, seconds(usesIpv6(lab) ? 1.3 : 0.05)));
  sim.trace = watch;
  const results = probes.map((probe) => runProbe(sim, probe));
  sim.runUntilIdle(later(sim.queue.now, seconds(0.5)));
  const each = (argv: readonly string[]): ReadonlyMap<string, string> =>
    new Map(lab.namespaces.map((ns) => [ns, runTool(sim, { ns, argv }).stdout]));
  return {
    results,
    frames,
    rules: each(["iptables-save", "-c"]),
    rules6: new Map(
      lab.namespaces.map((ns) => [
        ns,
        savers6(lab)
          .map((name) => runTool(sim, { ns, argv: [name, "-c"] }).stdout)
          .join(""),
      ]),
    ),
    conntrack: each(["conntrack", "-L"]),
    neighbours: each(["ip", "neigh", "show"]),
    shown: (lab.show ?? []).map((command) => runTool(sim, command).stdout),
  };
}

/** Runs one probe and then as long as the judge settles. */
function runProbe(sim: Simulation, probe: ProbeSpec): string {
  const ns = sim.namespaces.get(probe.ns);
  if (ns === undefined) throw new Error(`no namespace ${probe.ns}`);
  const result = startProbe(ns, probe);
  const end = later(sim.queue.now, seconds(probe.limit + (probe.hold ?? 0)));
  while (result.text === undefined && (sim.queue.nextAt ?? Number.POSITIVE_INFINITY) <= end)
    sim.step();
  if (result.text === undefined) sim.runUntilIdle(end);
  const text = result.text ?? `${result.waits}: timeout`;
  sim.queue.after(microseconds(1), "probe closes", result.close);
  sim.runUntilIdle(later(sim.queue.now, seconds(0.06)));
  return text;
}

/** A probe's program, with what it was told so far. */
export interface Running {
  text: string | undefined;
  /** The system call that the program waits in. */
  waits: string;
  close: () => void;
}

/** Starts a probe's program: the system calls that the judge's hands make. */
export function startProbe(ns: NetworkNamespace, probe: ProbeSpec): Running {
  switch (probe.protocol) {
    case "tcp":
      return startTcp(ns, probe);
    case "udp":
      return startUdp(ns, probe);
    case "icmp":
      return startPing(ns, probe);
    case "frame":
      return putFrame(ns, probe);
    case "join":
      return startJoin(ns, probe);
  }
}

/** What a packet socket does: the frame leaves as it is. */
function putFrame(ns: NetworkNamespace, probe: ProbeSpec): Running {
  const { frame, device = "" } = probe;
  if (frame === undefined) throw new Error("a frame probe without a frame");
  const dev = ns.device(device);
  const skb = newSkb(ns, frame, "packet socket");
  skb.packetType = "OUTGOING";
  ns.sim.softirq.systemCall(() => devQueueXmit(skb, dev));
  return waiting(ns, probe, "sent", () => undefined);
}

function startJoin(ns: NetworkNamespace, probe: ProbeSpec): Running {
  const socket = new UdpSocket(ns, {}, familyOf(probe.address));
  const refused = socket.join(probe.address, probe.device);
  if (refused !== undefined)
    return { text: `join: ${refused}`, waits: "", close: () => socket.close() };
  return waiting(ns, probe, "joined", () => socket.close());
}

/** Nothing is waited for but time. */
function waiting(ns: NetworkNamespace, probe: ProbeSpec, text: string, close: () => void): Running {
  const running: Running = { text: undefined, waits: "", close };
  ns.sim.queue.after(seconds(probe.wait ?? 0.06), "probe waits", () => {
    running.text = text;
  });
  return running;
}

function startTcp(ns: NetworkNamespace, probe: ProbeSpec): Running {
  const lines = [probe.data, ...(probe.lines ?? [])].map((line) => new TextEncoder().encode(line));
  const answers: string[] = [];
  const running: Running = { text: undefined, waits: "connect", close: () => connection.close() };
  const connection = connectTcp(ns, {
    address: probe.address,
    port: probe.port,
    sourcePort: probe.sourcePort === 0 ? undefined : probe.sourcePort,
    ttl: probe.ttl,
    owner: { boundDevice: probe.device },
    keepAlive: probe.keepAlive,
  });
  const end = (said: string): void => {
    if (probe.hold === undefined || running.text !== undefined) {
      running.text ??= said;
      return;
    }
    running.waits = `${said}, hold`;
    ns.sim.queue.after(seconds(probe.hold), "probe holds", () => {
      running.text ??= said;
    });
  };
  const say = (data: Uint8Array): void => {
    ns.sim.queue.after(microseconds(1), "probe sends", () => connection.send(data));
  };
  connection.onConnected = () => {
    const [first] = lines;
    if (first === undefined || first.length === 0) end("connected");
    else
      // The program wakes up in connect(), and hears of a reset that came meanwhile there.
      ns.sim.queue.after(microseconds(1), "probe sends", () => {
        if (running.text !== undefined) return;
        running.waits = "recv";
        // The judge asks SO_ERROR, which also tells of an error that does not end the connection.
        if (connection.softError === undefined) connection.send(first);
        else running.text = `connect: ${connection.softError}`;
      });
  };
  connection.onData = (got) => {
    const data = lines[answers.length];
    const isEcho = data !== undefined && same(got, data);
    answers.push(isEcho ? "echo" : `recv: ${Buffer.from(got).toString("hex")}`);
    const next = lines[answers.length];
    running.waits = [...answers, "recv"].join(", ");
    if (next === undefined) end(answers.join(", "));
    else say(next);
  };
  connection.onError = (errno) => {
    running.text ??= `${running.waits}: ${errno}`;
  };
  if (connection.error !== undefined) running.text = `connect: ${connection.error}`;
  return running;
}

function startUdp(ns: NetworkNamespace, probe: ProbeSpec): Running {
  const family = familyOf(probe.address);
  const socket = new UdpSocket(ns, { boundDevice: probe.device }, family);
  const data =
    probe.dataHex === undefined
      ? new TextEncoder().encode(probe.data)
      : Uint8Array.from(Buffer.from(probe.dataHex, "hex"));
  const running: Running = { text: undefined, waits: "recv", close: () => socket.close() };
  if (probe.ttl !== undefined) socket.ttl = probe.ttl;
  socket.bind(family.any, probe.sourcePort);
  socket.onDatagram = (datagram) =>
    wakes(ns, running, same(datagram.data, data) ? "echo" : "answer");
  socket.onError = (errno) => {
    running.text ??= `recv: ${errno}`;
  };
  const refused = socket.connect(probe.address, probe.port);
  if (refused !== undefined) running.text = `connect: ${refused}`;
  else {
    const failed = socket.send(data);
    if (failed !== undefined) running.text = `send: ${failed}`;
  }
  return running;
}

function startPing(ns: NetworkNamespace, probe: ProbeSpec): Running {
  const socket = new PingSocket(ns, { boundDevice: probe.device });
  const running: Running = { text: undefined, waits: "recv", close: () => socket.close() };
  if (probe.ttl !== undefined) socket.ttl = probe.ttl;
  socket.onReply = () => wakes(ns, running, "reply");
  socket.onError = (errno) => {
    running.text ??= `recv: ${errno}`;
  };
  const failed = socket.send(probe.address, {
    id: probe.sourcePort,
    sequence: 1,
    dontFragment: true,
    data: new TextEncoder().encode(probe.data),
  });
  if (failed !== undefined) running.text = `send: ${failed}`;
  return running;
}

/** The program reads when all that comes at the same moment has come: recv() tells an error before it gives data. */
function wakes(ns: NetworkNamespace, running: Running, text: string): void {
  ns.sim.queue.after(microseconds(1), "probe reads", () => {
    running.text ??= text;
  });
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

import { describe, expect, it } from "vitest";
import type { ScenarioRecording } from "../../src/core/scenario-recording.js";
import { clusterLab } from "../../src/lab/cluster-lab.js";
import type { Lab, Listener, Probe } from "../../src/lab/lab.js";
import { runScenario } from "../../src/lab/scenario/run-scenario.js";
import { parseScenario } from "../../src/lab/scenario/scenario-file.js";
import type { ClusterWorld } from "../../src/lab/world.js";
import { scenarioView } from "../../src/view/scenario.js";
import { encodeFrame } from "../../src/wire/frame.js";
import { IPV4_ANY } from "../../src/wire/ip.js";
import { askUntil } from "./compare.js";
import { missingJudge } from "./judge.js";
import { comparable, type Observation } from "./observation.js";
import { profile } from "./profile.js";
import { randomPorts, randomSteps } from "./random-scenario.js";
import { judgeScenario, type ScenarioSeen } from "./scenario-judge.js";
import { smallShop } from "./scenario-world.js";

const missing = missingJudge();
/** How many random scenarios are compared, and from which seed. */
const runs = Number(process.env["HOPWISE_SCENARIOS"] ?? 1);
const firstSeed = Number(process.env["HOPWISE_SCENARIO_SEED"] ?? 1);

/** The knobs of both sides; nodes let their bridges call iptables, as a cluster's do. */
function withKnobs(world: ClusterWorld): ClusterWorld {
  const nodes = new Set(world.cluster.nodes.map(({ name }) => name));
  const extra = clusterLab(world).lab.namespaces.flatMap((ns) =>
    profile
      .filter((knob) => !(nodes.has(ns) && knob.startsWith("net.bridge")))
      .map((knob) => ({ ns, argv: ["sysctl", "-w", knob], device: undefined })),
  );
  return { ...world, extra };
}

/** What the emulator saw, in the judge's terms. */
function emulated(recording: ScenarioRecording, watched: readonly string[]): ScenarioSeen {
  const events = recording.steps.flatMap(({ before, events: own }) => [...before, ...own]);
  const { steps } = scenarioView(recording);
  return {
    results: steps.flatMap(({ trace, step }) =>
      trace === undefined || step.title.startsWith("close")
        ? []
        : [/\((E\w+)\)/.exec(trace.verdict.senderSees)?.[1] ?? trace.verdict.senderSees],
    ),
    frames: events.flatMap((event) =>
      event.kind === "device" && event.dev !== undefined && watched.includes(event.ns)
        ? [
            {
              ns: event.ns,
              dev: event.dev,
              direction: event.direction,
              bytes: encodeFrame(event.frame),
            },
          ]
        : [],
    ),
    outputs: events.flatMap((event) =>
      event.kind === "command" && event.by === "you"
        ? [{ ns: event.ns, argv: event.argv, text: event.output }]
        : [],
    ),
  };
}

/** Both sides as text: the n-th conntrack listing of a node, its rules and neighbours at the end. */
function told(seen: ScenarioSeen, lab: Lab, probes: readonly Probe[]): string {
  const listing = (program: string): ReadonlyMap<string, string> =>
    new Map(
      seen.outputs
        .filter(({ argv }) => argv[0] === program)
        .map(({ ns, text }, index) => [`${ns} (${index + 1})`, text]),
    );
  const observation: Observation = {
    results: seen.results,
    frames: seen.frames,
    rules: listing("iptables-save"),
    conntrack: listing("conntrack"),
    neighbours: listing("ip"),
  };
  // UDP is assured two seconds after it began: which of the two runs takes longer tells nothing.
  return comparable(observation, lab, probes).replaceAll(/^(udp .*) \[ASSURED\]/gm, "$1");
}

interface Compared {
  readonly steps: string;
  readonly watched: readonly string[];
  readonly listeners?: readonly Listener[];
  /** Ports that the scenario names. */
  readonly ports: readonly number[];
}

async function compare({ steps, watched, listeners = [], ports }: Compared): Promise<{
  readonly ours: string;
  readonly real: string;
  readonly recording: ScenarioRecording;
}> {
  const world = withKnobs(smallShop());
  const text = `scenario: compared\nsteps:\n${steps}`;
  const scenario = parseScenario({ file: "compared.yaml", text });
  const recording = runScenario(world, scenario);
  const { lab } = clusterLab(world);
  const probes = ports.map((port): Probe => ({
    ns: "",
    protocol: "tcp",
    address: IPV4_ANY,
    port,
    sourcePort: port,
    data: "",
    ttl: undefined,
  }));
  const ours = told(emulated(recording, watched), lab, probes);
  const real = await askUntil("the scenario", ours, async () =>
    told(await judgeScenario(recording, { lab, watched, listeners }), lab, probes),
  );
  return { ours, real, recording };
}

const atTheEnd = (nodes: readonly string[]): string =>
  nodes
    .map(
      (node) =>
        `  - run: {${node}: [conntrack -L, iptables-save -c -t nat, iptables-save -c -t filter, ip neigh show]}\n`,
    )
    .join("");

describe.runIf(missing === undefined)("scenarios on the real kernel and in the emulator", () => {
  it("a UDP client of a dead endpoint, and what kube-proxy's cleanup does about it", async () => {
    const { ours, real, recording } = await compare({
      watched: ["worker-1", "shop/web-0", "shop/echo-0", "shop/echo-1"],
      listeners: ["shop/echo-0", "shop/echo-1"].map((ns) => ({
        ns,
        protocol: "udp",
        port: 7,
        address: IPV4_ANY,
      })),
      ports: [7, 40_000, 40_001],
      steps: `
  - apply:
      - apiVersion: v1
        kind: Service
        metadata: {name: echo, namespace: shop}
        spec: {clusterIP: 10.96.44.70, selector: {app: echo}, ports: [{name: echo, port: 7, protocol: UDP}]}
      - &echo
        apiVersion: v1
        kind: Pod
        metadata: {name: echo-0, namespace: shop, labels: {app: echo}}
        spec: {nodeName: worker-2, containers: [{name: echo, ports: [{containerPort: 7, protocol: UDP}]}]}
  - open: {name: client, from: shop/web-0, to: "shop/echo:7", proto: udp, sport: 40000}
  - apply: [{<<: *echo, metadata: {name: echo-1, namespace: shop, labels: {app: echo}}}]
  - send: client
  - run: {worker-1: conntrack -L -p udp}
  - delete: {object: pod shop/echo-0, grace: 0s}
  - run: {worker-1: conntrack -L -p udp}
  - send: client
  - run: {worker-1: conntrack -L -p udp}
${atTheEnd(["worker-1"])}`,
    });
    expect(ours).toBe(real);
    const cleaned = recording.steps.flatMap(({ events }) =>
      events.flatMap((event) =>
        event.kind === "command" && event.argv.includes("-D") ? [event.ns] : [],
      ),
    );
    expect(cleaned).toEqual(["worker-1"]);
  });

  it("a connection that is open while a policy takes the right to it away", async () => {
    const { ours, real } = await compare({
      watched: ["worker-1", "worker-2", "shop/api-0", "shop/db-0"],
      ports: [5432, 40_000, 40_001],
      steps: `
  - open: {name: query, from: shop/api-0, to: "shop/db-0:5432", sport: 40000}
  - send: query
  - patch: {object: networkpolicy shop/db-from-api, merge: {spec: {ingress: []}}}
  - send: query
  - open: {name: late, from: shop/api-0, to: "10.244.2.2:5432", proto: udp, sport: 40001}
  - run: {worker-2: conntrack -D -p tcp --orig-src 10.244.1.3}
${atTheEnd(["worker-1", "worker-2"])}`,
    });
    expect(ours).toBe(real);
  });

  it.each(Array.from({ length: runs }, (_, n) => firstSeed + n))(
    "random changes of seed %i while connections live",
    async (seed) => {
      const { ours, real } = await compare({
        watched: ["worker-1", "worker-2", "shop/web-0", "shop/api-0", "shop/db-0"],
        listeners: ["shop/echo-0", "shop/echo-1"].map((ns) => ({
          ns,
          protocol: "udp",
          port: 7,
          address: IPV4_ANY,
        })),
        ports: randomPorts,
        steps: `${randomSteps(seed, 14)}${atTheEnd(["worker-1", "worker-2"])}`,
      });
      expect(ours).toBe(real);
    },
  );
});

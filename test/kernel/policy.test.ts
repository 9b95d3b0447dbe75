import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { dialectNamed } from "../../src/kube/policy/dialect.js";
import { judge } from "../../src/kube/policy/oracle.js";
import { formatAddress, parseAddress } from "../../src/kube/policy/cidr.js";
import {
  type Endpoint,
  endpointOf,
  type Flow,
  policyObjectsOf,
  type PolicyWorld,
  policyWorld,
} from "../../src/kube/policy/world.js";
import { clusterLab } from "../../src/lab/cluster-lab.js";
import type { Lab, Listener } from "../../src/lab/lab.js";
import type { ClusterWorld } from "../../src/lab/world.js";
import { formatIpv4, IPV4_ANY } from "../../src/wire/ip.js";
import type { RunOfLab } from "../fuzz-kernel/compare.js";
import { runEmulated } from "../fuzz-kernel/emulated.js";
import { limit } from "../fuzz-kernel/profile.js";
import { RealKernel } from "../fuzz-kernel/real.js";
import { missingJudge } from "./judge.js";
import type { ProbeSpec } from "./observation.js";
import { deviations } from "./policy-deviations.js";
import { randomCluster } from "./policy-world.js";

const missing = missingJudge();
/** How many worlds are tried, and from which seed. */
const worlds = Number(process.env["HOPWISE_POLICY_WORLDS"] ?? 15);
const seed = Number(process.env["HOPWISE_POLICY_SEED"] ?? 1);
/** Worlds on the real kernel at the same time: most of the time of each is waiting. */
const hands = 12;

/** Seconds between the starts of two probes: allowed and refused ones are answered at once. */
const distance = 0.05;
/** How often a world is asked whose counters differ: a busy machine reads them before the last packet. */
const tries = 3;

/** Every port that a probe may try, on every pod: a refused connection is then a refusal of the rules. */
const tried = [
  { protocol: "tcp", port: 53 },
  { protocol: "tcp", port: 80 },
  { protocol: "tcp", port: 81 },
  { protocol: "tcp", port: 443 },
  { protocol: "udp", port: 53 },
] as const;

interface Case {
  readonly policies: PolicyWorld;
  readonly lab: Lab;
  readonly flows: readonly Flow[];
  readonly probes: readonly ProbeSpec[];
}

/** Every pod and node to every pod, on one of its declared ports in turn. */
function caseOf(world: ClusterWorld): Case {
  const { cluster } = world;
  const policies = policyWorld(policyObjectsOf(cluster), dialectNamed("kube-router"));
  const pods = cluster.pods.filter(({ name }) => /^p\d$/.test(name));
  const built = clusterLab(world, {
    nodes: new Set(cluster.nodes.map(({ name }) => name)),
    pods: new Set(pods.map(({ key }) => key)),
  }).lab;
  const listeners = pods.flatMap(({ key: ns }) =>
    tried.map((one): Listener => ({ ns, ...one, address: IPV4_ANY })),
  );
  const flows: Flow[] = [];
  const probes: ProbeSpec[] = [];
  const sources = [
    ...pods.map(({ key }) => ({ ns: key, endpoint: policies.podByKey.get(key) })),
    ...cluster.nodes.map(({ name, address }) => ({
      ns: name,
      endpoint: endpointAt(policies, formatIpv4(address)),
    })),
  ];
  for (const { ns, endpoint: source } of sources) {
    for (const { key, address } of pods) {
      const destination = policies.podByKey.get(key);
      if (key === ns || address === undefined || source === undefined || destination === undefined)
        continue;
      const { number: port, protocol } = destination.ports[
        probes.length % destination.ports.length
      ] ?? { number: 80, protocol: "TCP" };
      flows.push({ source, destination, protocol, port });
      probes.push({
        ns,
        protocol: protocol === "TCP" ? "tcp" : "udp",
        address,
        port,
        sourcePort: 40_000 + probes.length,
        data: "hello",
        ttl: undefined,
        limit,
      });
    }
  }
  return { policies, lab: { ...built, listeners }, flows, probes };
}

function endpointAt(world: PolicyWorld, text: string): Endpoint | undefined {
  const address = parseAddress(text);
  return address === undefined ? undefined : endpointOf(world, address);
}

/** `echo` is an answer; kube-router refuses with an ICMP error. */
function outcomeOf(result: string | undefined): string {
  if (result === "echo") return "allow";
  return result === "connect: ECONNREFUSED" || result === "recv: ECONNREFUSED"
    ? "deny"
    : `other (${result})`;
}

const totals = {
  pairs: 0,
  denied: 0,
  deviating: new Map<string, { covered: number; different: number }>(),
  /** Worlds whose counters the machine's clock decided. */
  acknowledged: 0,
};

describe.runIf(missing === undefined)("policies as rules on the real kernel", () => {
  const kernel = new RealKernel(hands);
  afterAll(() => kernel.end());

  it(
    `${worlds} random worlds connect pair by pair as the emulator and the API's words say`,
    { timeout: 3_600_000 },
    async () => {
      const made = fc.sample(randomCluster, { seed, numRuns: worlds });
      const differences = await Promise.all(made.map((world, at) => differencesOf(world, at)));
      const told = [...totals.deviating].map(
        ([name, { covered, different }]) => `${name}: ${covered} pairs, ${different} differ`,
      );
      console.log(
        `${worlds} worlds, ${totals.pairs} pairs, ${totals.denied} denied; kube-router's deviations: ${told.join("; ")}; ` +
          `in ${totals.acknowledged} worlds the machine's clock decided some counters`,
      );
      expect(differences.flat()).toEqual([]);
      expect(totals.denied).toBeGreaterThan(worlds);
      expect(totals.pairs - totals.denied).toBeGreaterThan(worlds);
    },
  );

  async function differencesOf(world: ClusterWorld, at: number): Promise<readonly string[]> {
    const made = caseOf(world);
    const emulated = runEmulated(made.lab, made.probes, 1, distance);
    let found: readonly string[] = [];
    for (let asked = 0; asked < tries; asked++) {
      const real = await kernel.run(made.lab, made.probes, distance);
      const failures = real.failures.flatMap((failure) => failure ?? []);
      found = [...failures, ...compareRuns(real, emulated, made)];
      if (found.length === 0) break;
      if (asked === tries - 1 && onlyTheClock(real, emulated)) {
        totals.acknowledged++;
        found = [...failures, ...compareResults(real, emulated, made)];
      }
    }
    const wrong = compareWithApi(emulated.seen.results, made);
    return [...found, ...wrong].map((line) => `world ${at}: ${line}`);
  }
});

/** What the two sides do not agree on: what each probe's program was told, and how often each rule was met. */
function compareRuns(real: RunOfLab, emulated: RunOfLab, made: Case): readonly string[] {
  const told = compareResults(real, emulated, made);
  const [there, here] = [ruleLines(real.seen.rules), ruleLines(emulated.seen.rules)];
  const first = there.findIndex((line, index) => line !== here[index]);
  return first < 0 && there.length === here.length
    ? told
    : [...told, `kernel ${there[first]}, emulator ${here[first]}`];
}

function compareResults(real: RunOfLab, emulated: RunOfLab, { flows }: Case): readonly string[] {
  return flows.flatMap((flow, index) => {
    const [there, here] = [real.seen.results[index], emulated.seen.results[index]];
    return there === here ? [] : [`${titleOf(flow)}: kernel ${there}, emulator ${here}`];
  });
}

/**
 * Whether rules differ only in what the machine's clock decides. Packets of 40 bytes that the kernel has more of: where a
 * program answers later than the timer of delayed acknowledgements, as on a busy machine, the acknowledgement goes out
 * alone. And rules with a limit, which has more to give the longer the probes take.
 */
function onlyTheClock(real: RunOfLab, emulated: RunOfLab): boolean {
  const [there, here] = [ruleLines(real.seen.rules), ruleLines(emulated.seen.rules)];
  const counters = /\[(\d+):(\d+)\]/;
  const plain = (line: string): string => line.replace(counters, "");
  const count = (line: string): readonly number[] =>
    (counters.exec(line) ?? []).slice(1).map(Number);
  return (
    there.length === here.length &&
    there.every((line, at) => {
      const other = here[at] ?? "";
      const [packets = 0, bytes = 0] = count(line);
      const [wantedPackets = 0, wantedBytes = 0] = count(other);
      return (
        plain(line) === plain(other) &&
        packets >= wantedPackets &&
        (line.includes(" -m limit ") || bytes - wantedBytes === 40 * (packets - wantedPackets))
      );
    })
  );
}

function ruleLines(rules: ReadonlyMap<string, string>): readonly string[] {
  return [...rules].flatMap(([ns, text]) =>
    text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => `${ns}: ${line}`),
  );
}

/** What the API says otherwise than the rules, where kube-router is not known to. */
function compareWithApi(results: readonly string[], { policies, flows }: Case): readonly string[] {
  return flows.flatMap((flow, index) => {
    const outcome = outcomeOf(results[index]);
    const wanted = judge(policies, flow).outcome;
    totals.pairs++;
    if (outcome === "deny") totals.denied++;
    const known = deviations.find(({ covers }) => covers(policies, flow));
    if (known === undefined)
      return outcome === wanted ? [] : [`${titleOf(flow)}: rules ${outcome}, API ${wanted}`];
    const entry = totals.deviating.get(known.name) ?? { covered: 0, different: 0 };
    totals.deviating.set(known.name, entry);
    entry.covered++;
    if (outcome !== wanted) entry.different++;
    return [];
  });
}

function titleOf({ source, destination, protocol, port }: Flow): string {
  return `${nameOf(source)} -> ${nameOf(destination)} ${protocol} ${port}`;
}

function nameOf(endpoint: Endpoint): string {
  return endpoint.kind === "pod" ? endpoint.key : formatAddress(endpoint.address);
}

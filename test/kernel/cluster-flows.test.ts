import { afterAll, describe, expect, it } from "vitest";
import { randomBetween, type Random, seededRandom } from "../../src/base/random.js";
import type { Cluster } from "../../src/kube/cluster.js";
import { externalAddresses } from "../../src/kube/external-routes.js";
import { kindnetConflist } from "../../src/kube/masquerade-agents.js";
import { outsideCommands } from "../../src/kube/nodes.js";
import { clusterIpsOf, nodeAddresses } from "../../src/kube/own-addresses.js";
import { clusterLab, wholeCluster } from "../../src/lab/cluster-lab.js";
import type { Lab } from "../../src/lab/lab.js";
import { loadWorld } from "../../src/lab/world.js";
import type { LabCommand } from "../../src/tools/command.js";
import { formatIp, type IpAddress, parseIpv4, parseIpv6 } from "../../src/wire/ip.js";
import { ipPool } from "../kube/calico-texts.js";
import { flannelOf, kindnetOf } from "../kube/families-world.js";
import { flannelConfigMap } from "../kube/flannel-texts.js";
import { randomClusterText } from "../kube/random-cluster.js";
import { compareLab } from "./compare.js";
import { missingJudge } from "./judge.js";
import { comparable, type Observation, type ProbeSpec } from "./observation.js";
import { patient, quietIpv6 } from "./quiet-ipv6.js";

/** The seeds: nine in CI, `FROM-TO` with HOPWISE_CLUSTER_FLOWS. From 1001 on the clusters have IPv6. */
const seeds = (process.env["HOPWISE_CLUSTER_FLOWS"] ?? "1-6,1001-1003")
  .split(",")
  .flatMap((range) => {
    const [from = 1, to = from] = range.split("-").map(Number);
    return Array.from({ length: to - from + 1 }, (_, n) => from + n);
  });
const FIRST_IPV6 = 1001;
/** Connections a cluster. */
const FLOWS = 8;
const missing = missingJudge();
/** What the clients on the kernel were told. */
const told: string[] = [];

/** One random cluster with a host outside, and connections to its Services from everywhere. */
function flowsOf(seed: number): { readonly lab: Lab; readonly probes: readonly ProbeSpec[] } {
  const dualStack = seed >= FIRST_IPV6;
  const ipv6Only = dualStack && seed % 3 === 0;
  const policies = seed % 4 === 0;
  const text = randomClusterText(seed, { sctp: false, policies, dualStack, ipv6Only });
  const world = loadWorld(
    [{ file: `seed-${seed}.json`, text }, ...networkOf(seed)],
    `seed-${seed}`,
  );
  if (world.kind !== "cluster") throw new Error("no cluster");
  const { cluster } = world;
  const random = seededRandom(seed);
  const whole = wholeCluster(cluster);
  const pods = new Set([...whole.pods].filter((key) => key.startsWith("ns/")));
  const { lab } = clusterLab(world, { ...whole, pods });
  const v4 = random() < 0.5 ? "203.0.113.9" : "203.0.113.200";
  const far = address(ipv6Only || (dualStack && random() < 0.6) ? "2001:db8:9::9" : v4);
  const outside = outsideCommands(cluster, far).filter(({ argv }) => !isOurs(argv));
  const nodes = cluster.nodes.map(({ name }) => name);
  const plain = [...lab.commands, ...outside];
  const commands = [
    ...lab.namespaces.map(patient),
    ...(dualStack ? quietIpv6(plain, nodes) : plain),
  ];
  const forced = commands.map((command) => forceEndpoints(command, random));
  return {
    lab: { ...lab, namespaces: [...lab.namespaces, "outside"], commands: forced },
    probes: probesOf(cluster, lab.namespaces, random, far),
  };
}

/** From seed 73 on the clusters have other networks too, in turn. */
function networkOf(seed: number): readonly { readonly file: string; readonly text: string }[] {
  if (seed >= FIRST_IPV6)
    return [[], kindnetOf, flannelOf("host-gw", seed % 3 === 0)][seed % 4] ?? [];
  if (seed <= 72) return [];
  const { name, cniVersion, plugins } = kindnetConflist("usePodCidr");
  const kindnet = { name, cniVersion, plugins: plugins.map(({ raw }) => raw) };
  return (
    [
      [{ file: "10-kindnet.conflist", text: JSON.stringify(kindnet) }],
      [{ file: "flannel.yaml", text: flannelConfigMap('{"Type": "vxlan"}') }],
      [{ file: "flannel.yaml", text: flannelConfigMap('{"Type": "host-gw"}') }],
      [{ file: "pool.yaml", text: ipPool() }],
      [{ file: "pool.yaml", text: ipPool({ vxlanMode: "Always" }) }],
    ][seed % 5] ?? []
  );
}

/** Namespaces and their loopback are made by whoever builds a lab. */
function isOurs(argv: readonly string[]): boolean {
  return argv[1] === "netns" || argv.join(" ") === "ip link set lo up";
}

/** Chance is taken out of the rules: of a chain's `statistic` rules one matches always, and those before it never. */
function forceEndpoints(command: LabCommand, random: Random): LabCommand {
  if (command.stdin === undefined) return command;
  const chosen = new Map<string, boolean>();
  const stdin = command.stdin
    .split("\n")
    .map((line) => {
      const [, chain = "", share = ""] = /^-A (\S+) .*--probability ([\d.]+)/.exec(line) ?? [];
      if (share === "") return line;
      const taken = chosen.get(chain) === true || random() < Number(share);
      chosen.set(chain, taken);
      return line.replace(`--probability ${share}`, `--probability ${taken ? "1.0" : "0.0"}`);
    })
    .join("\n");
  return { ...command, stdin };
}

function probesOf(
  cluster: Cluster,
  namespaces: readonly string[],
  random: Random,
  far: IpAddress,
): ProbeSpec[] {
  const pods = namespaces.filter((ns) => ns.startsWith("ns/"));
  const sources = [...pods, ...cluster.nodes.map(({ name }) => name), "outside", "outside"];
  const targets = cluster.services.filter(({ object }) => object.metadata?.namespace === "ns");
  const places = targets.flatMap(({ object }) =>
    (object.spec?.ports ?? []).flatMap(({ port, nodePort, protocol }) => {
      const name = protocol === "UDP" ? ("udp" as const) : ("tcp" as const);
      const own = clusterIpsOf(object);
      const vips = [...own, ...externalAddresses(object)];
      const onNodes = nodePort === undefined ? [] : cluster.nodes.flatMap(nodeAddresses);
      return [
        ...vips.map((ip) => ({ protocol: name, ip, port, near: own.includes(ip) })),
        ...onNodes.map((ip) => ({ protocol: name, ip, port: nodePort ?? 0, near: false })),
        ...(nodePort === undefined || !cluster.networks.families.includes(4)
          ? []
          : [{ protocol: name, ip: address("127.0.0.1"), port: nodePort, near: true }]),
      ];
    }),
  );
  const pick = <T>(list: readonly T[]): T => list[randomBetween(random, 0, list.length - 1)] as T;
  const probes: ProbeSpec[] = [];
  for (let n = 0; n < FLOWS && places.length > 0; n++) {
    const { protocol, ip, port, near } = pick(places);
    const loopback = formatIp(ip).startsWith("127.");
    const ns = pick(
      loopback
        ? cluster.nodes.map(({ name }) => name)
        : sources.filter((source) => source !== "outside" || (!near && typeof ip === typeof far)),
    );
    const rest = { data: "hello", ttl: undefined, limit: 0.5 };
    probes.push({ ns, protocol, address: ip, port, sourcePort: 40_001 + n, ...rest });
  }
  return probes;
}

function address(text: string): IpAddress {
  const value = parseIpv4(text) ?? parseIpv6(text);
  if (value === undefined) throw new Error(text);
  return value;
}

/**
 * Between namespaces of one machine the kernel's connect() still holds its socket when an ICMPv6 error about the first SYN
 * comes, and waits for the second, longer than these probes do; the frames tell one from the other.
 */
function heardLate(probes: readonly ProbeSpec[]): (result: string, index: number) => string {
  return (result, index) => {
    const probe = probes[index];
    const isTcp6 = probe?.protocol === "tcp" && typeof probe.address === "bigint";
    return isTcp6 && /^connect: (timeout|ECONNREFUSED)$/.test(result)
      ? "connect: timeout or ECONNREFUSED"
      : result;
  };
}

describe.runIf(missing === undefined)(
  "Services of random clusters, on the kernel and in the emulator",
  () => {
    afterAll(() => {
      const kinds = [...new Set(told)]
        .toSorted()
        .map((kind) => `${told.filter((one) => one === kind).length} ${kind}`);
      console.log(
        `${seeds.length} random clusters, ${told.length} connections: ${kinds.join(", ")}`,
      );
    });

    it.concurrent.each(seeds)(
      "seed %i: clients are told the same, endpoints see the same sources, frame by frame",
      async (seed) => {
        const { lab, probes } = flowsOf(seed);
        const known = (seen: Observation): string =>
          comparable({ ...seen, results: seen.results.map(heardLate(probes)) }, lab, probes);
        const real = await compareLab(expect, lab, probes, known);
        told.push(...real.results);
      },
      300_000,
    );
  },
);

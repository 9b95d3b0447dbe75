import { afterAll, describe, expect, it } from "vitest";
import { randomBetween, type Random, seededRandom } from "../../src/base/random.js";
import type { Cluster } from "../../src/kube/cluster.js";
import { externalAddresses } from "../../src/kube/external-routes.js";
import { kindnetConflist } from "../../src/kube/masquerade-agents.js";
import { outsideCommands } from "../../src/kube/nodes.js";
import { clusterLab, wholeCluster } from "../../src/lab/cluster-lab.js";
import type { Lab } from "../../src/lab/lab.js";
import { loadWorld } from "../../src/lab/world.js";
import type { LabCommand } from "../../src/tools/command.js";
import { formatIp, type Ipv4, parseIpv4 } from "../../src/wire/ip.js";
import { ipPool } from "../kube/calico-texts.js";
import { flannelConfigMap } from "../kube/flannel-texts.js";
import { randomClusterText } from "../kube/random-cluster.js";
import { emulate } from "./emulate.js";
import { judge, missingJudge } from "./judge.js";
import { comparable, type ProbeSpec } from "./observation.js";

/** The seeds: six in CI, `FROM-TO` with HOPWISE_CLUSTER_FLOWS. */
const [from = 1, to = from] = (process.env["HOPWISE_CLUSTER_FLOWS"] ?? "1-6")
  .split("-")
  .map(Number);
const seeds = Array.from({ length: to - from + 1 }, (_, n) => from + n);
/** Connections a cluster. */
const FLOWS = 8;
const missing = missingJudge();
/** What the clients on the kernel were told. */
const told: string[] = [];

/** One random cluster with a host outside, and connections to its Services from everywhere. */
function flowsOf(seed: number): { readonly lab: Lab; readonly probes: readonly ProbeSpec[] } {
  const text = randomClusterText(seed, { sctp: false, policies: seed % 4 === 0, dualStack: false });
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
  const outside = outsideCommands(
    cluster,
    address(random() < 0.5 ? "203.0.113.9" : "203.0.113.200"),
  );
  const commands = [
    ...lab.namespaces.map(patient),
    ...lab.commands,
    ...outside.filter(({ argv }) => !isOurs(argv)),
  ];
  const forced = commands.map((command) => forceEndpoints(command, random));
  return {
    lab: { ...lab, namespaces: [...lab.namespaces, "outside"], commands: forced },
    probes: probesOf(cluster, lab.namespaces, random),
  };
}

/** From seed 73 on the clusters have other networks too, in turn. */
function networkOf(seed: number): readonly { readonly file: string; readonly text: string }[] {
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

/** Connections are remembered for as long as a busy machine takes to look at them. */
function patient(ns: string): LabCommand {
  const timeouts = ["udp_timeout", "udp_timeout_stream", "tcp_timeout_close"];
  const knobs = timeouts.map((name) => `net.netfilter.nf_conntrack_${name}=600`);
  return { ns, argv: ["sysctl", "-w", ...knobs] };
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

function probesOf(cluster: Cluster, namespaces: readonly string[], random: Random): ProbeSpec[] {
  const pods = namespaces.filter((ns) => ns.startsWith("ns/"));
  const sources = [...pods, ...cluster.nodes.map(({ name }) => name), "outside", "outside"];
  const targets = cluster.services.filter(({ object }) => object.metadata?.namespace === "ns");
  const places = targets.flatMap(({ object }) =>
    (object.spec?.ports ?? []).flatMap(({ port, nodePort, protocol }) => {
      const name = protocol === "UDP" ? ("udp" as const) : ("tcp" as const);
      const own = parseIpv4(object.spec?.clusterIP ?? "");
      const vips = [...(own === undefined ? [] : [own]), ...externalAddresses(object)];
      const onNodes = nodePort === undefined ? [] : cluster.nodes.map(({ address: ip }) => ip);
      return [
        ...vips.map((ip) => ({ protocol: name, ip, port, near: ip === own })),
        ...onNodes.map((ip) => ({ protocol: name, ip, port: nodePort ?? 0, near: false })),
        ...(nodePort === undefined
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
        : sources.filter((source) => !(near && source === "outside")),
    );
    const rest = { data: "hello", ttl: undefined, limit: 0.5 };
    probes.push({ ns, protocol, address: ip, port, sourcePort: 40_001 + n, ...rest });
  }
  return probes;
}

function address(text: string): Ipv4 {
  const value = parseIpv4(text);
  if (value === undefined) throw new Error(text);
  return value;
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
        const real = await judge(lab, probes);
        told.push(...real.results);
        expect(comparable(emulate(lab, probes), lab, probes)).toBe(comparable(real, lab, probes));
      },
      300_000,
    );
  },
);

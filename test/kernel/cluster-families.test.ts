import { describe, expect, it } from "vitest";
import { clusterLab } from "../../src/lab/cluster-lab.js";
import type { Lab } from "../../src/lab/lab.js";
import { loadWorld } from "../../src/lab/world.js";
import { outsideCommands } from "../../src/kube/nodes.js";
import { type IpAddress, parseIpv4, parseIpv6 } from "../../src/wire/ip.js";
import { compareLab } from "./compare.js";
import { missingJudge } from "./judge.js";
import type { ProbeSpec } from "./observation.js";
import { patient, quietIpv6 } from "./quiet-ipv6.js";
import { familiesWorld, kindnetOf, flannelOf } from "../kube/families-world.js";

const missing = missingJudge();

function address(text: string): IpAddress {
  const value = parseIpv4(text) ?? parseIpv6(text);
  if (value === undefined) throw new Error(text);
  return value;
}

/** A small cluster without its DNS, and a host outside. */
function lab(kubeSystem: readonly { readonly file: string; readonly text: string }[]): Lab {
  const world = loadWorld([...kubeSystem], "families");
  if (world.kind !== "cluster") throw new Error("no cluster");
  const { cluster } = world;
  const own = cluster.pods.filter(({ namespace }) => namespace === "default");
  const { lab: inside } = clusterLab(world, {
    nodes: new Set(cluster.nodes.map(({ name }) => name)),
    pods: new Set(own.map(({ key }) => key)),
  });
  const outside = outsideCommands(cluster, address("2001:db8:9::9")).filter(
    ({ argv }) => argv[1] !== "netns" && argv.join(" ") !== "ip link set lo up",
  );
  const namespaces = [...inside.namespaces, "outside"];
  const nodes = cluster.nodes.map(({ name }) => name);
  const commands = quietIpv6([...inside.commands, ...outside], nodes);
  return { ...inside, namespaces, commands: [...namespaces.map(patient), ...commands] };
}

/** From where, to which address and port; each is met by one endpoint at most. */
const asked = [
  // Between pods: on two nodes, on one bridge.
  ["default/client", "fd00:10:244:1::2", 80, "tcp"],
  ["default/beside", "fd00:10:244:1::2", 80, "tcp"],
  ["default/client", "fd00:10:244:1::2", 0, "icmp"],
  // To Services: of another node, of the same bridge, by UDP, by itself, without endpoints.
  ["default/client", "fd00:10:96::50", 80, "tcp"],
  ["default/beside", "fd00:10:96::50", 80, "tcp"],
  ["default/client", "fd00:10:96::50", 53, "udp"],
  ["default/web", "fd00:10:96::50", 80, "tcp"],
  ["default/client", "fd00:10:96::51", 53, "udp"],
  ["a", "fd00:10:96::50", 80, "tcp"],
  ["default/client", "10.96.0.50", 80, "tcp"],
  // Node ports and load balancers: from another node, from outside, by the node that has the endpoint and the other.
  ["a", "fd00:10::12", 30_080, "tcp"],
  ["outside", "fd00:10::11", 30_080, "tcp"],
  ["outside", "fd00:10::12", 30_080, "tcp"],
  ["outside", "2001:db8:5::80", 80, "tcp"],
  // Out of the cluster.
  ["default/client", "2001:db8:9::9", 9, "tcp"],
] as const;

const probes = (v6Only: boolean): readonly ProbeSpec[] =>
  asked
    .filter(([, to]) => !v6Only || to.includes(":"))
    .map(([ns, to, port, protocol], n) => ({
      ns,
      protocol,
      address: address(to),
      port,
      sourcePort: protocol === "icmp" ? 7 : 40_000 + n,
      data: "hello",
      ttl: undefined,
      limit: 0.6,
    }));

describe.runIf(missing === undefined)(
  "clusters with IPv6 on the real kernel and in the emulator",
  () => {
    it.concurrent.each([
      ["dual stack over a bridge", familiesWorld("both")],
      ["dual stack with kindnet", [...familiesWorld("both"), ...kindnetOf]],
      ["dual stack with flannel's host-gw", [...familiesWorld("both"), ...flannelOf("host-gw")]],
      ["IPv6 alone", familiesWorld("v6")],
    ])(
      "%s: connections, frames, rules' counters and connections alike",
      async (name, files) => {
        const made = lab(files);
        const sent = probes(name === "IPv6 alone");
        const real = await compareLab(expect, made, sent);
        expect(real.results.filter((result) => result === "echo")).toHaveLength(sent.length - 3);
      },
      300_000,
    );
  },
);

import { macFor } from "../../src/kube/cni/host.js";
import type { LabCommand } from "../../src/tools/command.js";

/* What has to be taken out of a cluster with IPv6 before it is compared: all that the kernel does when it pleases. */

/** The commands of a cluster whose nodes count no report of a group, and whose hosts know the routers that they send to. */
export function quietIpv6(
  commands: readonly LabCommand[],
  nodes: readonly string[],
): readonly LabCommand[] {
  const own = [...nodes.flatMap(withoutReports), ...commands.map(withMac)];
  return [...own, ...knownGateways(own)];
}

/** Connections are remembered for as long as a busy machine takes to look at them. */
export function patient(ns: string): LabCommand {
  const timeouts = [
    "udp_timeout",
    "udp_timeout_stream",
    "tcp_timeout_close",
    "icmp_timeout",
    "icmpv6_timeout",
  ];
  const knobs = timeouts.map((name) => `net.netfilter.nf_conntrack_${name}=600`);
  return { ns, argv: ["sysctl", "-w", ...knobs] };
}

/** Reports of groups come when it pleases the kernel, with as many groups as it pleases: no counter of the cluster's sees them. */
function withoutReports(ns: string): readonly LabCommand[] {
  const match = ["-p", "ipv6-icmp", "-m", "icmp6", "--icmpv6-type", "143", "-j", "DROP"];
  return ["PREROUTING", "OUTPUT"].map((chain) => ({
    ns,
    argv: ["ip6tables", "-t", "raw", "-A", chain, ...match],
  }));
}

/** A bridge's link-local address follows from the MAC it is born with, which the kernel draws. */
function withMac(command: LabCommand): LabCommand {
  const { ns, argv } = command;
  const [, , action, name] = argv;
  if (action !== "add" || name !== "cni0" || argv.includes("address")) return command;
  const mac = macFor(`${ns} cni0`);
  return {
    ...command,
    argv: argv.flatMap((word) => (word === name ? [name, "address", mac] : [word])),
  };
}

/**
 * Hosts know their default gateway's MAC address: Linux asks for that of a router it has never sent to twice, once from its
 * link-local address, when a work queue comes to it (rt6_probe()).
 */
function knownGateways(commands: readonly LabCommand[]): readonly LabCommand[] {
  const macs = commands.flatMap(({ ns, argv }) => {
    const text = argv.join(" ");
    const [, own, first] = /link add (\S+) address (\S+)/.exec(text) ?? [];
    const [, peer, second, there] = /peer name (\S+) address (\S+).* netns (\S+)/.exec(text) ?? [];
    return [
      { ns, dev: own, mac: first, other: there },
      { ns: there, dev: peer, mac: second, other: ns },
    ];
  });
  return commands.flatMap(({ ns = "", argv }): readonly LabCommand[] => {
    const [, , , to, , gateway, , dev] = argv.filter((word) => word !== "-6");
    if ((to !== "::/0" && to !== "default") || gateway?.includes(":") !== true) return [];
    const owners = commands.filter(
      (one) => one.argv[2] === "add" && one.argv[3]?.startsWith(`${gateway}/`),
    );
    const ends = owners.flatMap((owner) => {
      const device = owner.argv[owner.argv.indexOf("dev") + 1];
      return macs.filter((one) => one.ns === owner.ns && one.dev === device);
    });
    // ptp gives its address to the host's end of every pod.
    const found = ends.find((one) => one.other === ns) ?? ends[0];
    // A link-local gateway has no command of its own; nodes, which route, do not ask twice.
    if (found?.mac === undefined || dev === undefined) return [];
    const neighbour = ["neigh", "replace", gateway, "lladdr", found.mac, "dev", dev];
    return [{ ns, argv: ["ip", ...neighbour, "nud", "permanent"] }];
  });
}

import type { Cluster } from "../../kube/cluster.js";
import type { LabCommand } from "../../tools/command.js";
import { formatIpv4, formatMac, type Ipv4, MAC_ZERO, parseIpv4 } from "../../wire/ip.js";
import type { NodeRecord, RecordedLink } from "./node-record.js";

/*
 * What is rendered from objects has names and MAC addresses of its own; where a dump tells the real ones, they are taken, so
 * that recorded routes, rules and neighbours mean the devices that are built.
 */

/** The pod at each address of a pod's network namespace. */
type PodHosts = ReadonlyMap<Ipv4, string>;

/** For each recorded node the recorded names of devices that are rendered under others. */
export function recordedNames(
  records: ReadonlyMap<string, NodeRecord>,
  cluster: Cluster,
  commands: readonly LabCommand[],
): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const pods: PodHosts = new Map(
    cluster.pods.flatMap(({ address, key, hostNetwork }) =>
      address === undefined || hostNetwork ? [] : [[address, key] as const],
    ),
  );
  const ends = hostEnds(commands);
  return new Map(
    [...records].map(([name, record]) => {
      const names = new Map<string, string>();
      const node = cluster.nodes.find((one) => one.name === name);
      const uplink = node && uplinkOf(record.links ?? [], node.address);
      if (uplink !== undefined) names.set("eth0", uplink.name);
      for (const [address, dev] of podDevices(record)) {
        const end = ends.get(pods.get(address) ?? "");
        if (end?.node === name) names.set(end.dev, dev);
      }
      return [name, names] as const;
    }),
  );
}

/** The device that has an address. */
export function uplinkOf(
  links: readonly RecordedLink[],
  address: number,
): RecordedLink | undefined {
  return links.find(({ addresses }) => addresses.some((one) => one.address === address));
}

/** The node's end of each pod's veth, by the pod's namespace. */
function hostEnds(
  commands: readonly LabCommand[],
): ReadonlyMap<string, { readonly node: string; readonly dev: string }> {
  const found = new Map<string, { readonly node: string; readonly dev: string }>();
  for (const { ns = "", argv } of commands) {
    const dev = after(argv, "name");
    const node = after(argv, "netns");
    if (argv[2] === "add" && argv[3] === "eth0" && dev !== undefined && node !== undefined)
      found.set(ns, { node, dev });
  }
  return found;
}

function after(argv: readonly string[], word: string): string | undefined {
  const at = argv.indexOf(word);
  return at < 0 ? undefined : argv[at + 1];
}

/** Veths that lead to an address: by a host route, or by what a bridge has learned of the neighbour's MAC address. */
function podDevices(record: NodeRecord): readonly (readonly [Ipv4, string])[] {
  const veths = new Set(
    (record.links ?? []).flatMap(({ name, kind }) => (kind === "veth" ? [name] : [])),
  );
  const routed = (record.routes ?? []).flatMap(({ destination, dev, words }) => {
    const address = parseIpv4(destination);
    return address !== undefined && dev !== undefined && veths.has(dev) && !words.includes("via")
      ? [[address, dev] as const]
      : [];
  });
  const ports = new Map(
    (record.fdb ?? []).flatMap(({ mac, dev, state }) =>
      state === "learned" && veths.has(dev) ? [[mac, dev] as const] : [],
    ),
  );
  const learned = (record.neighbours ?? []).flatMap(({ address, mac }) => {
    const dev = mac === undefined ? undefined : ports.get(mac);
    return dev === undefined ? [] : [[address, dev] as const];
  });
  return [...learned, ...routed];
}

/** A rendered command under the recorded names of its node's devices. */
export function renamed(
  command: LabCommand,
  names: ReadonlyMap<string, ReadonlyMap<string, string>>,
): LabCommand {
  const { argv, ns = "" } = command;
  const own = names.get(ns);
  const peers = names.get(after(argv, "netns") ?? "");
  const changed = argv.map((word, index) => {
    const before = argv[index - 1] ?? "";
    if (argv[0] === "sysctl") return own === undefined ? word : renamedKnob(word, own);
    if (before === "name") return peers?.get(word) ?? word;
    const isDevice = index === 3 || ["dev", "set", "master"].includes(before);
    return isDevice && (argv[0] === "ip" || argv[0] === "bridge") ? (own?.get(word) ?? word) : word;
  });
  return changed.every((word, index) => word === argv[index])
    ? command
    : { ...command, argv: changed };
}

/** `net.ipv4.conf.eth0.proxy_arp=1`. */
function renamedKnob(word: string, names: ReadonlyMap<string, string>): string {
  return word.replace(
    /^(net\.ipv[46]\.(?:conf|neigh)\.)([^.]+)(?=\.)/,
    (all: string, head: string, dev: string) => {
      const name = names.get(dev);
      return name === undefined ? all : `${head}${name.replaceAll(".", "/")}`;
    },
  );
}

/** The MAC addresses that dumps tell: of a node's own devices, and of whoever has an address, as neighbours say. */
export interface RecordedMacs {
  /** `NODE DEVICE`. */
  readonly own: ReadonlyMap<string, string>;
  readonly byAddress: ReadonlyMap<string, string>;
}

export function recordedMacs(records: Iterable<NodeRecord>): RecordedMacs {
  const own = new Map<string, string>();
  const byAddress = new Map<string, string>();
  for (const { name, links = [], neighbours = [] } of records) {
    for (const { address, mac } of neighbours)
      if (mac !== undefined && mac !== MAC_ZERO) byAddress.set(formatIpv4(address), formatMac(mac));
    for (const { name: dev, mac } of links)
      if (mac !== undefined && mac !== MAC_ZERO) own.set(`${name} ${dev}`, formatMac(mac));
  }
  return { own, byAddress };
}

/** Lets devices be born with the MAC addresses that dumps tell of them. Commands are already under recorded names. */
export function withMacs(
  commands: readonly LabCommand[],
  { own, byAddress }: RecordedMacs,
): readonly LabCommand[] {
  const found = new Map(own);
  for (const { ns = "", argv } of commands) {
    if (argv[1] !== "addr" || (argv[2] !== "add" && argv[2] !== "replace")) continue;
    const mac = byAddress.get((argv[3] ?? "").split("/", 1)[0] ?? "");
    const key = `${ns} ${after(argv, "dev") ?? ""}`;
    if (mac !== undefined && !found.has(key)) found.set(key, mac);
  }
  const holders = new Map(
    commands.flatMap(({ ns = "", argv }) =>
      argv[1] === "addr" && argv[2] !== "del"
        ? [[(argv[3] ?? "").split("/", 1)[0] ?? "", `${ns} ${after(argv, "dev") ?? ""}`] as const]
        : [],
    ),
  );
  // A neighbour that was recorded under another MAC address than its device was born with cannot be reached by it.
  const isStray = ({ argv }: LabCommand): boolean => {
    const mac = found.get(holders.get(argv[3] ?? "") ?? "");
    return argv[1] === "neigh" && mac !== undefined && after(argv, "lladdr") !== mac;
  };
  return commands.flatMap((command) => {
    const { ns = "", argv } = command;
    if (isStray(command)) return [];
    if (argv[0] !== "ip" || argv[1] !== "link" || argv[2] !== "add") return [command];
    const peer = `${after(argv, "netns") ?? ns} ${after(argv, "name") ?? ""}`;
    const macs = [found.get(`${ns} ${argv[3] ?? ""}`), found.get(peer)];
    let seen = 0;
    const changed = argv.map((word, index) =>
      argv[index - 1] === "address" ? (macs[seen++] ?? word) : word,
    );
    return [{ ...command, argv: changed }];
  });
}

import { sha512 } from "../../base/sha512.js";
import type { LabCommand } from "../../tools/command.js";

/** A device as the plugins see it. */
export interface HostLink {
  readonly name: string;
  readonly kind: string;
  mac: string;
  /** The MAC it was born with; what a bridge with an address goes back to. */
  readonly bornMac: string;
  up: boolean;
  /** 1500 unless told. */
  mtu?: number;
  /** The name it had before a plugin took it. */
  alias?: string;
  /** The bridge or VRF that this belongs to. */
  master?: string;
  /** The other end of a veth. */
  peer?: { readonly ns: string; readonly name: string };
  /** `address/length`. */
  readonly addresses: string[];
}

/** The nat and filter rules that plugins made, by table and chain; each rule is one line as it was asked for. */
export type RuleState = Map<string, string[]>;

/**
 * One node as CNI plugins find it: the files they keep, the devices and chains they made. Every change is also written
 * down as a command that makes it, in the emulator and on a real Linux.
 */
export class CniHost {
  /** The node's namespace. */
  readonly ns: string;
  /** What plugins and agents keep on disk, by path. */
  readonly files: Map<string, string> = new Map();
  /** What makes all of it, in order. */
  readonly commands: LabCommand[] = [];
  /** `table chain` to rules; of IPv6 `ip6 table chain`. */
  readonly chains: RuleState = new Map();
  /** The device of the node's default route. */
  defaultDevice: string | undefined;
  /** Routing tables that plugins use, by namespace. */
  readonly tables: Map<string, Set<number>> = new Map();
  readonly #links = new Map<string, Map<string, HostLink>>();
  readonly #sandboxes = new Map<string, string>();

  /** `files` are what the node's agents wrote before, by path. */
  constructor(ns: string, files: ReadonlyMap<string, string> = new Map()) {
    this.ns = ns;
    for (const [path, content] of files) this.files.set(path, content);
  }

  /** Makes a namespace known under the path that the runtime hands to plugins. */
  addSandbox(path: string, ns: string): void {
    this.#sandboxes.set(path, ns);
    this.links(ns).set("lo", {
      name: "lo",
      kind: "loopback",
      mac: "00:00:00:00:00:00",
      bornMac: "00:00:00:00:00:00",
      up: false,
      addresses: [],
    });
  }

  /** The namespace of a sandbox path. */
  sandbox(path: string): string | undefined {
    return this.#sandboxes.get(path);
  }

  /** The devices of a namespace by name. */
  links(ns: string): Map<string, HostLink> {
    let links = this.#links.get(ns);
    if (links === undefined) {
      links = new Map();
      this.#links.set(ns, links);
    }
    return links;
  }

  /** Writes down a command. */
  run(ns: string, ...argv: readonly string[]): void {
    this.commands.push({ ns, argv });
  }

  /** Takes a device away, the other end of a veth with it. */
  deleteLink(ns: string, name: string): void {
    const link = this.links(ns).get(name);
    if (link === undefined) return;
    this.run(ns, "ip", "link", "del", name);
    this.links(ns).delete(name);
    const { peer } = link;
    if (peer === undefined) return;
    const master = this.links(peer.ns).get(peer.name)?.master;
    this.links(peer.ns).delete(peer.name);
    if (master !== undefined) this.followPorts(master);
  }

  /** A bridge without an address of its own has the lowest MAC of its ports. Mirrors net/bridge/br_stp_if.c:br_stp_recalculate_bridge_id(). */
  followPorts(name: string): void {
    const bridge = this.links(this.ns).get(name);
    if (bridge === undefined || bridge.addresses.length > 0) return;
    const ports = [...this.links(this.ns).values()]
      .filter(({ master }) => master === name)
      .map(({ mac }) => mac);
    bridge.mac = ports.toSorted()[0] ?? "00:00:00:00:00:00";
  }

  /** The rules of a chain; undefined when it does not exist. Built-in chains always do. */
  chain(table: string, name: string, family: 4 | 6 = 4): string[] | undefined {
    const key = chainKey(table, name, family);
    if (builtIn.has(`${table} ${name}`) && !this.chains.has(key)) this.chains.set(key, []);
    return this.chains.get(key);
  }
}

/** How the chains of both families are told apart. */
export function chainKey(table: string, name: string, family: 4 | 6): string {
  return family === 4 ? `${table} ${name}` : `ip6 ${table} ${name}`;
}

const builtIn: ReadonlySet<string> = new Set([
  "nat PREROUTING",
  "nat INPUT",
  "nat OUTPUT",
  "nat POSTROUTING",
  "filter INPUT",
  "filter FORWARD",
  "filter OUTPUT",
]);

/**
 * A MAC address for a device: locally administered, and the same in every run. Differs: the kernel draws it. `salt`
 * names the device in the whole world.
 */
export function macFor(salt: string): string {
  const digits = sha512(`mac ${salt}`).slice(0, 12);
  const first = (Number.parseInt(digits.slice(0, 2), 16) & 0xfc) | 0x02;
  return [first.toString(16).padStart(2, "0"), ...(digits.slice(2).match(/../g) ?? [])].join(":");
}

import type { InputText } from "../../kube/load.js";
import type { RuleFamily } from "../../netfilter/iptables/addresses.js";
import type { Variant } from "../../netfilter/iptables/tables.js";
import type { Place } from "../../base/errors.js";
import type { IpAddress, IpPrefix, Ipv4, Ipv6, Mac } from "../../wire/ip.js";

/** An `iptables-save` of one family and one of the two kernels' sides. */
export interface RecordedRules extends InputText {
  readonly family: RuleFamily;
  readonly variant: Variant;
}

export interface RecordedAddress {
  readonly address: Ipv4;
  /** 0..32 */
  readonly length: number;
  readonly peer: Ipv4 | undefined;
  readonly broadcast: Ipv4 | undefined;
  /** `global`, `link`, `host` or a number. */
  readonly scope: string;
  readonly noPrefixRoute: boolean;
}

export interface RecordedAddress6 {
  readonly address: Ipv6;
  /** 0..128 */
  readonly length: number;
  readonly peer: Ipv6 | undefined;
  /** Of the network's route; undefined for the kernel's own. */
  readonly metric: number | undefined;
  readonly deprecated: boolean;
  readonly noDad: boolean;
  /** No route to its network comes with it: it was asked for so, or a router advertised the network apart from it. */
  readonly noPrefixRoute: boolean;
  /** Somebody else has it: it is not used. */
  readonly failed: boolean;
}

/** What of a bridge port is not as the kernel sets it at first, by its `bridge link set` word: `on`, `off`, or the spanning tree's state. */
export type PortSwitches = ReadonlyMap<string, string>;

export interface RecordedLink {
  readonly name: string;
  readonly ifindex: number;
  /** `veth`, `bridge`, `vxlan`, …; undefined for hardware, and where `ip -d` was not asked. */
  readonly kind: string | undefined;
  readonly loopback: boolean;
  readonly up: boolean;
  /** There is a carrier. */
  readonly running: boolean;
  /** Neighbours are asked for their addresses. */
  readonly arp: boolean;
  readonly mtu: number;
  readonly mac: Mac | undefined;
  readonly master: string | undefined;
  /** The index of the other end, and which namespace it is in; undefined in this one. */
  readonly peerIndex: number | undefined;
  readonly peerNetnsId: number | undefined;
  readonly ports: PortSwitches;
  /** The device of this namespace that it lies on, or that is its other end. */
  readonly lower?: string | undefined;
  /** A bridge that keeps VLANs apart: which ports are in which is not recorded. */
  readonly filtersVlans: boolean;
  /** What `ip link add … type KIND` is told besides, for kinds that are built from it; undefined for the others. */
  readonly settings: readonly string[] | undefined;
  readonly addresses: readonly RecordedAddress[];
  /** Newest first, as the kernel keeps them. */
  readonly addresses6: readonly RecordedAddress6[];
  readonly place: Place;
}

/** One route in the words of `ip route`, or of `ip -6 route`. */
export interface RecordedRoute {
  readonly words: readonly string[];
  readonly table: string;
  readonly protocol: string | undefined;
  readonly type: string;
  readonly destination: string;
  readonly dev: string | undefined;
  readonly metric: number | undefined;
  /** What of it is not modelled: such a route is not built. */
  readonly unmodelled: string | undefined;
  readonly place: Place;
}

export interface RecordedPolicyRule {
  readonly priority: number;
  readonly words: readonly string[];
  readonly place: Place;
}

export interface RecordedNeighbour<A extends IpAddress = Ipv4> {
  readonly address: A;
  readonly dev: string;
  readonly mac: Mac | undefined;
  /** In lower case: `stale`. */
  readonly state: string;
  /** It said that it is a router: IPv6. */
  readonly router: boolean;
  readonly place: Place;
}

export interface RecordedFdbEntry {
  readonly mac: Mac;
  readonly dev: string;
  /** The other end, of a tunnel's entry. */
  readonly remote: IpAddress | undefined;
  /** Of a tunnel's entry: the other end is a router for what is behind it. */
  readonly isRouter: boolean;
  /** `permanent` is the host's own, `static` was typed and stays, `learned` was seen, nobody knows when. */
  readonly state: "permanent" | "static" | "learned";
  readonly place: Place;
}

/** A group of multicast behind a port of a bridge. */
export interface RecordedGroup {
  readonly bridge: string;
  readonly dev: string;
  readonly group: IpAddress;
  readonly permanent: boolean;
  readonly place: Place;
}

export interface RecordedSysctl {
  readonly name: string;
  readonly value: string;
  readonly place: Place;
}

export interface RecordedSocket {
  readonly protocol: "tcp" | "udp";
  readonly address: IpAddress;
  readonly port: number;
}

/** What was recorded of one namespace: a node, or a pod's. What is undefined was not recorded. */
export interface NodeRecord {
  readonly name: string;
  /** The node that a pod's namespace was found on. */
  readonly host: string | undefined;
  /** The files that it was read from. */
  readonly files: readonly string[];
  readonly rules: readonly RecordedRules[];
  readonly links: readonly RecordedLink[] | undefined;
  /** Whether the links were recorded with their addresses. */
  readonly hasAddresses: boolean;
  /** Whether their IPv6 addresses were recorded. */
  readonly hasAddresses6: boolean;
  readonly routes: readonly RecordedRoute[] | undefined;
  readonly routes6: readonly RecordedRoute[] | undefined;
  readonly policyRules: readonly RecordedPolicyRule[] | undefined;
  readonly policyRules6: readonly RecordedPolicyRule[] | undefined;
  readonly neighbours: readonly RecordedNeighbour[] | undefined;
  readonly neighbours6: readonly RecordedNeighbour<Ipv6>[] | undefined;
  readonly fdb: readonly RecordedFdbEntry[] | undefined;
  readonly groups: readonly RecordedGroup[] | undefined;
  /** Names of namespaces by the ids that links give. */
  readonly netnsNames: ReadonlyMap<number, string>;
  readonly sysctls: readonly RecordedSysctl[] | undefined;
  readonly sockets: readonly RecordedSocket[] | undefined;
  readonly connections: InputText | undefined;
  readonly ipsets: InputText | undefined;
  /** `nft list ruleset`, text or JSON: which tables there are is read, not their rules. */
  readonly nft: InputText | undefined;
  /** `ipvsadm -Sn`: which virtual servers there are is read. */
  readonly ipvs: InputText | undefined;
}

/** An address given by hand: `--addr eth0=192.0.2.10/24`. */
export interface GivenAddress {
  /** The node; undefined where there is only one. */
  readonly node: string | undefined;
  readonly dev: string;
  readonly prefix: IpPrefix;
}

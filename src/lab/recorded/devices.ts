import { UserError } from "../../base/errors.js";
import { macFor } from "../../kube/cni/host.js";
import { formatMac, type IpPrefix, isIpv6LinkLocal } from "../../wire/ip.js";
import type {
  GivenAddress,
  NodeRecord,
  PortSwitches,
  RecordedAddress,
  RecordedAddress6,
  RecordedLink,
} from "./node-record.js";

/** A device of a node as it is built. */
export interface Device {
  readonly name: string;
  /**
   * `cable` has another end somewhere: hardware, or a veth. `child` lies on a device of the same or another namespace: macvlan,
   * ipvlan, vlan. `silent` is a tap or tun device that no program has open. `unmodelled` is a kind that hopwise cannot build.
   */
  readonly kind:
    | "loopback"
    | "bridge"
    | "dummy"
    | "tunnel"
    | "child"
    | "silent"
    | "cable"
    | "unmodelled";
  /** The recorded kind: `vxlan`. */
  readonly recordedKind: string | undefined;
  readonly up: boolean;
  readonly running: boolean;
  readonly mtu: number;
  readonly mac: string;
  readonly master: string | undefined;
  readonly ports: PortSwitches;
  readonly addresses: readonly RecordedAddress[];
  readonly addresses6: readonly RecordedAddress6[];
  /** Where it was recorded; undefined for a device that is assumed. */
  readonly link: RecordedLink | undefined;
  /** `--addr`, or the rule that names it. */
  readonly assumedFrom: string | undefined;
}

/** More devices than this are not assumed from names in rules. */
const MAX_ASSUMED = 1_000;

/** The devices of a node: as recorded, else those that addresses, routes and rules name. Throws UserError. */
export function devicesOf(record: NodeRecord, given: readonly GivenAddress[]): readonly Device[] {
  const own = given.filter(({ node }) => node === undefined || node === record.name);
  const { links } = record;
  if (links !== undefined) {
    const masters = new Set(links.map(({ master }) => master));
    const recorded = links.map((link) => recordedDevice(record, link, masters, own));
    const missing = own.filter(({ dev }) => !links.some(({ name }) => name === dev));
    return [
      ...recorded,
      ...namesOnce(missing).map((dev) => assumedDevice(record, dev, own, "--addr")),
    ];
  }
  const named = namedDevices(record).filter(([name]) => !own.some(({ dev }) => dev === name));
  if (named.length > MAX_ASSUMED)
    throw new UserError(
      "LIMIT_DEVICES",
      `the dump of ${record.name} names more than ${MAX_ASSUMED} devices`,
      { help: "add the node's `ip -d -j addr`" },
    );
  return [
    loopback,
    ...namesOnce(own).map((dev) => assumedDevice(record, dev, own, "--addr")),
    ...named.map(([dev, from]) => assumedDevice(record, dev, own, from)),
  ];
}

/** What every namespace begins with. */
export const loopback: Device = {
  name: "lo",
  kind: "loopback",
  recordedKind: undefined,
  up: true,
  running: true,
  mtu: 65_536,
  mac: "00:00:00:00:00:00",
  master: undefined,
  ports: new Map(),
  addresses: [],
  addresses6: [],
  link: undefined,
  assumedFrom: undefined,
};

function namesOnce(given: readonly GivenAddress[]): readonly string[] {
  return [...new Set(given.map(({ dev }) => dev))].filter((dev) => dev !== "lo");
}

function recordedDevice(
  record: NodeRecord,
  link: RecordedLink,
  masters: ReadonlySet<string | undefined>,
  given: readonly GivenAddress[],
): Device {
  return {
    name: link.name,
    kind: kindOf(link, masters),
    recordedKind: link.kind,
    up: link.up,
    running: link.running,
    mtu: link.mtu,
    mac: link.mac === undefined || link.mac === 0 ? macOf(record, link.name) : formatMac(link.mac),
    master: link.master,
    ports: link.ports,
    addresses: [...link.addresses, ...givenAddresses(link.name, given)],
    addresses6: [...link.addresses6, ...givenAddresses6(link.name, given)],
    link,
    assumedFrom: undefined,
  };
}

function kindOf(link: RecordedLink, masters: ReadonlySet<string | undefined>): Device["kind"] {
  if (link.loopback) return "loopback";
  switch (link.kind) {
    case "bridge":
    case "dummy":
      return link.kind;
    case "veth":
      return "cable";
    case undefined:
      return masters.has(link.name) ? "bridge" : "cable";
    case "macvlan":
    case "ipvlan":
    case "vlan":
      return link.settings === undefined ? "unmodelled" : "child";
    case "tun":
      return link.settings === undefined || link.running ? "unmodelled" : "silent";
    default:
      return link.settings === undefined ? "unmodelled" : "tunnel";
  }
}

function assumedDevice(
  record: NodeRecord,
  name: string,
  given: readonly GivenAddress[],
  from: string,
): Device {
  return {
    ...loopback,
    name,
    kind: "cable",
    mtu: 1500,
    mac: macOf(record, name),
    addresses: givenAddresses(name, given),
    addresses6: givenAddresses6(name, given),
    assumedFrom: from,
  };
}

function givenAddresses(name: string, given: readonly GivenAddress[]): readonly RecordedAddress[] {
  return given.flatMap(({ dev, prefix: { address, length } }) =>
    dev !== name || typeof address !== "number"
      ? []
      : [
          {
            address,
            length,
            peer: undefined,
            broadcast: undefined,
            scope: name === "lo" ? "host" : "global",
            noPrefixRoute: false,
          },
        ],
  );
}

function givenAddresses6(
  name: string,
  given: readonly GivenAddress[],
): readonly RecordedAddress6[] {
  return given.flatMap(({ dev, prefix: { address, length } }) =>
    dev !== name || typeof address !== "bigint"
      ? []
      : [
          {
            address,
            length,
            peer: undefined,
            metric: undefined,
            deprecated: false,
            noDad: false,
            noPrefixRoute: false,
            failed: false,
          },
        ],
  );
}

/** Every address that a device can be reached by from afar, of both families. */
export function addressesOf({ addresses, addresses6 }: Device): readonly IpPrefix[] {
  return [...addresses, ...addresses6.filter(({ address }) => !isIpv6LinkLocal(address))];
}

function macOf(record: NodeRecord, dev: string): string {
  return macFor(`${record.name} ${dev}`);
}

/** Devices that rules, routes and neighbours name, with what names them first. Patterns such as `cali+` name none. */
function namedDevices(record: NodeRecord): readonly (readonly [name: string, from: string])[] {
  const found = new Map<string, string>();
  const add = (name: string | undefined, from: string): void => {
    if (name !== undefined && name !== "lo" && !found.has(name)) found.set(name, from);
  };
  for (const { dev } of [...(record.routes ?? []), ...(record.routes6 ?? [])]) add(dev, "a route");
  for (const { dev } of [...(record.neighbours ?? []), ...(record.neighbours6 ?? [])])
    add(dev, "a neighbour");
  for (const { file, text } of record.rules) {
    text.split("\n").forEach((line, index) => {
      if (!line.includes("-A ")) return;
      for (const [, name = ""] of line.matchAll(/ (?:-i|-o|--in-interface|--out-interface) (\S+)/g))
        if (/^[^+/"]{1,15}$/.test(name)) add(name, `the rule at ${file}:${index + 1}:1`);
    });
  }
  return [...found];
}

import * as v from "valibot";
import type { InputText } from "../../kube/load.js";
import { parseIpv4, parseIpv6, parseMac } from "../../wire/ip.js";
import type {
  PortSwitches,
  RecordedAddress,
  RecordedAddress6,
  RecordedLink,
} from "./node-record.js";
import { type Item, readList } from "./read-list.js";

const index = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2_147_483_647));

/** As the kernel takes names: up to 15 characters, no blank and no slash. */
export const deviceName: v.GenericSchema<unknown, string> = v.pipe(
  v.string(),
  v.regex(/^(?!\.{1,2}$)[^\s/:]{1,15}$/, "expected the name of a device"),
);

const addressSchema = v.looseObject({
  family: v.string(),
  local: v.optional(v.string()),
  /** The other end's, of a point-to-point link. */
  address: v.optional(v.string()),
  prefixlen: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(128)),
  broadcast: v.optional(v.string()),
  scope: v.optional(v.union([v.string(), v.number()]), "global"),
  noprefixroute: v.optional(v.boolean(), false),
  metric: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(4_294_967_295))),
  deprecated: v.optional(v.boolean(), false),
  nodad: v.optional(v.boolean(), false),
  dadfailed: v.optional(v.boolean(), false),
  mngtmpaddr: v.optional(v.boolean(), false),
});

const linkSchema = v.looseObject({
  ifindex: index,
  ifname: deviceName,
  flags: v.array(v.string()),
  mtu: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2_147_483_647)), 1500),
  address: v.optional(v.string()),
  link_type: v.optional(v.string(), "ether"),
  master: v.optional(deviceName),
  link_index: v.optional(v.number()),
  link_netnsid: v.optional(v.number()),
  link: v.optional(v.string()),
  linkinfo: v.optional(
    v.looseObject({
      info_kind: v.optional(v.string()),
      info_data: v.optional(v.record(v.string(), v.unknown()), {}),
      info_slave_data: v.optional(v.record(v.string(), v.unknown()), {}),
    }),
  ),
  addr_info: v.optional(v.array(v.record(v.string(), v.unknown())), []),
});

type LinkItem = Item<v.InferOutput<typeof linkSchema>>;

/** Reads `ip -j addr` or `ip -j link`, with or without `-d`, of one family or both. */
export function readLinks(input: InputText): readonly RecordedLink[] {
  return readList(input, "ip addr", linkSchema).map(linkOf);
}

function linkOf(item: LinkItem): RecordedLink {
  const { value } = item;
  const flags = new Set(value.flags);
  return {
    name: value.ifname,
    ifindex: value.ifindex,
    kind: value.linkinfo?.info_kind,
    loopback: flags.has("LOOPBACK"),
    up: flags.has("UP"),
    running: flags.has("LOWER_UP"),
    arp: !flags.has("NOARP"),
    mtu: value.mtu,
    mac: value.address === undefined ? undefined : parseMac(value.address),
    master: value.master,
    peerIndex: value.link_index,
    peerNetnsId: value.link_netnsid,
    ports: switchesOf(value.linkinfo?.info_slave_data ?? {}),
    lower: value.link,
    filtersVlans: value.linkinfo?.info_data["vlan_filtering"] === 1,
    settings: settingsOf(value.linkinfo?.info_kind, value.linkinfo?.info_data ?? {}),
    addresses: value.addr_info.flatMap((address) => addressOf(item, address)),
    addresses6: value.addr_info.flatMap((address) => address6Of(item, address)),
    place: item.place,
  };
}

function addressOf(item: LinkItem, given: Record<string, unknown>): readonly RecordedAddress[] {
  if (Object.keys(given).length === 0 || given["family"] === "inet6") return [];
  const parsed = v.safeParse(addressSchema, given);
  if (!parsed.success) throw item.refuse("addr_info", "an address that is not as it prints it");
  const { local = "", prefixlen, broadcast, scope, noprefixroute, address: peer } = parsed.output;
  const address = parseIpv4(local);
  if (address === undefined || prefixlen > 32)
    throw item.refuse(
      "addr_info",
      `"${local}/${prefixlen}" is not an IPv4 address with its length`,
    );
  return [
    {
      address,
      length: prefixlen,
      peer: peer === undefined ? undefined : parseIpv4(peer),
      broadcast: broadcast === undefined ? undefined : parseIpv4(broadcast),
      scope: String(scope),
      noPrefixRoute: noprefixroute,
    },
  ];
}

function address6Of(item: LinkItem, given: Record<string, unknown>): readonly RecordedAddress6[] {
  if (given["family"] !== "inet6") return [];
  const parsed = v.safeParse(addressSchema, given);
  if (!parsed.success) throw item.refuse("addr_info", "an address that is not as it prints it");
  const { local = "", prefixlen, address: peer, metric, deprecated, ...flags } = parsed.output;
  const address = parseIpv6(local);
  if (address === undefined)
    throw item.refuse(
      "addr_info",
      `"${local}/${prefixlen}" is not an IPv6 address with its length`,
    );
  return [
    {
      address,
      length: prefixlen,
      peer: peer === undefined ? undefined : parseIpv6(peer),
      metric,
      deprecated,
      noDad: flags.nodad,
      // The network of an address that a router's prefix made has a route of its own.
      noPrefixRoute: flags.noprefixroute || flags.mngtmpaddr,
      failed: flags.dadfailed,
    },
  ];
}

/** What `ip link add` is told of a device of a kind that is built from it; undefined for other kinds and ways. */
function settingsOf(
  kind: string | undefined,
  data: Readonly<Record<string, unknown>>,
): readonly string[] | undefined {
  const mode = typeof data["mode"] === "string" ? data["mode"] : "";
  switch (kind) {
    case "bridge":
      return bridgeWords(data);
    case "vxlan":
      return vxlanWords(data);
    case "macvlan":
      return macvlanWords(mode, data);
    case "ipvlan": {
      const flag = data["mode_flag"];
      const words = typeof flag === "string" && flag !== "bridge" ? [flag] : [];
      return ["l2", "l3", "l3s"].includes(mode) ? ["mode", mode, ...words] : undefined;
    }
    case "vlan": {
      const id = data["id"];
      const is8021q = (data["protocol"] ?? "802.1Q") === "802.1Q";
      return typeof id === "number" && is8021q ? ["id", String(id)] : undefined;
    }
    case "tun":
      return data["type"] === "tap" || data["type"] === "tun" ? ["mode", data["type"]] : undefined;
    default:
      return undefined;
  }
}

/** Whose frames one of mode `source` takes is told latest first, and given in the order it came. */
function macvlanWords(
  mode: string,
  data: Readonly<Record<string, unknown>>,
): readonly string[] | undefined {
  if (!["private", "vepa", "bridge", "passthru", "source"].includes(mode)) return undefined;
  const flags = ["nopromisc", "nodst"].filter((flag) => data[flag] === true);
  const listed: unknown = data["macaddr_data"] ?? [];
  if (!Array.isArray(listed)) return undefined;
  const macs = listed.filter((mac) => typeof mac === "string" && parseMac(mac) !== undefined);
  if (macs.length !== listed.length) return undefined;
  const list = mode === "source" ? ["macaddr", "set", ...macs.toReversed()] : [];
  return ["mode", mode, ...flags, ...list];
}

/** Settings of a bridge that are not as it begins, and their values then. */
const BRIDGE_SETTINGS: readonly (readonly [name: string, begins: number])[] = [
  ["ageing_time", 30_000],
  ["mcast_snooping", 1],
  ["mcast_querier", 0],
];

function bridgeWords(data: Readonly<Record<string, unknown>>): readonly string[] {
  return BRIDGE_SETTINGS.flatMap(([name, begins]) => {
    const value = data[name];
    const isOther = Number.isInteger(value) && value !== begins && Number(value) >= 0;
    return isOther && Number(value) <= 100_000_000 ? [name, String(value)] : [];
  });
}

const vxlanSchema = v.looseObject({
  id: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(16_777_215)),
  local: v.optional(v.string()),
  remote: v.optional(v.string()),
  /** Of a tunnel over IPv6. */
  local6: v.optional(v.string()),
  remote6: v.optional(v.string()),
  group: v.optional(v.string()),
  group6: v.optional(v.string()),
  /** `maxaddress`. */
  limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff)), 0),
  link: v.optional(deviceName),
  port: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535)),
  port_range: v.optional(v.looseObject({ low: v.number(), high: v.number() })),
  learning: v.optional(v.boolean(), true),
  ttl: v.optional(v.union([v.number(), v.string()]), 0),
  tos: v.optional(v.union([v.number(), v.string()]), 0),
  df: v.optional(v.picklist(["unset", "set", "inherit"]), "unset"),
  ageing: v.optional(v.number(), 300),
  udp_csum: v.optional(v.boolean(), true),
});

/** Ways of a VXLAN device that are not modelled, when they are on. */
const VXLAN_UNMODELLED: readonly string[] = [
  ...["external", "gbp", "gpe", "vnifilter", "remcsum_tx", "remcsum_rx"],
];

/** The settings of a VXLAN device in the words of `ip link add`; undefined where some are not modelled. */
function vxlanWords(data: Readonly<Record<string, unknown>>): readonly string[] | undefined {
  const parsed = v.safeParse(vxlanSchema, data);
  const other = VXLAN_UNMODELLED.some((name) => data[name] !== undefined && data[name] !== false);
  if (!parsed.success || other) return undefined;
  const { id, link, port, port_range, learning, ...rest } = parsed.output;
  const { local = rest.local6, remote = rest.remote6, group = rest.group6 } = rest;
  const pair = (name: string, value: string | undefined): readonly string[] =>
    value === undefined ? [] : [name, value];
  return [
    ...["id", String(id)],
    ...pair("local", local),
    ...pair("remote", remote),
    ...pair("group", group),
    ...pair("dev", link),
    ...(port_range === undefined
      ? []
      : ["srcport", String(port_range.low), String(port_range.high)]),
    ...["dstport", String(port)],
    ...(learning ? [] : ["nolearning"]),
    ...["proxy", "rsc", "l2miss", "l3miss"].filter((name) => data[name] === true),
    ...(rest.limit === 0 ? [] : ["maxaddress", String(rest.limit)]),
    ...(rest.ttl === 0 ? [] : ["ttl", String(rest.ttl)]),
    ...(rest.tos === 0 ? [] : ["tos", Number(rest.tos) === 1 ? "inherit" : String(rest.tos)]),
    ...(rest.df === "unset" ? [] : ["df", rest.df]),
    ...(rest.ageing === 300 ? [] : ["ageing", String(rest.ageing)]),
    ...(rest.udp_csum ? [] : ["noudpcsum"]),
  ];
}

/** The switches that lab commands can set, by the names of `ip -d` and of `bridge -d`. */
const SWITCHES: readonly (readonly [field: string, word: string, byDefault: boolean])[] = [
  ["hairpin", "hairpin", false],
  ["learning", "learning", true],
  ["flood", "flood", true],
  ["mcast_flood", "mcast_flood", true],
  ["bcast_flood", "bcast_flood", true],
  ["isolated", "isolated", false],
];

function switchesOf(data: Readonly<Record<string, unknown>>): PortSwitches {
  const { state } = data;
  const switches = SWITCHES.flatMap(([field, word, byDefault]): readonly [string, string][] => {
    const value = data[field];
    return typeof value === "boolean" && value !== byDefault ? [[word, value ? "on" : "off"]] : [];
  });
  const held = typeof state === "string" && HELD.has(state);
  return new Map(held ? [...switches, ["state", state]] : switches);
}

/** States in which the spanning tree holds frames back. A port without carrier is disabled by itself. */
const HELD: ReadonlySet<string> = new Set(["listening", "learning", "blocking"]);

const portSchema = v.looseObject({ ifname: deviceName });

/** Reads `bridge -d -j link`: the switches of ports by their device. */
export function readPorts(input: InputText): ReadonlyMap<string, PortSwitches> {
  return new Map(
    readList(input, "bridge link", portSchema).map(({ value }) => [
      value.ifname,
      switchesOf(value),
    ]),
  );
}

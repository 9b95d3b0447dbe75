import * as v from "valibot";
import type { InputText } from "../../kube/load.js";
import { parseIpv4, parseIpv4Prefix, parseMac } from "../../wire/ip.js";
import type {
  RecordedFdbEntry,
  RecordedNeighbour,
  RecordedPolicyRule,
  RecordedRoute,
} from "./node-record.js";
import { deviceName } from "./read-links.js";
import { type Item, readList } from "./read-list.js";

const word = v.pipe(v.string(), v.regex(/^[\w./:-]{1,64}$/, "expected one word"));
const number = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(4_294_967_295));
const wordOrNumber = v.union([word, number]);

const hopSchema = v.looseObject({
  gateway: v.optional(word),
  dev: v.optional(deviceName),
  weight: v.optional(number),
  flags: v.optional(v.array(v.string()), []),
});

const routeSchema = v.looseObject({
  type: v.optional(word, "unicast"),
  dst: word,
  gateway: v.optional(word),
  via: v.optional(v.looseObject({ family: word, host: word })),
  dev: v.optional(deviceName),
  table: v.optional(wordOrNumber, "main"),
  protocol: v.optional(wordOrNumber),
  scope: v.optional(wordOrNumber),
  prefsrc: v.optional(word),
  metric: v.optional(number),
  tos: v.optional(wordOrNumber),
  metrics: v.optional(
    v.array(v.looseObject({ mtu: v.optional(number), advmss: v.optional(number) })),
  ),
  nexthops: v.optional(v.array(hopSchema), []),
  flags: v.optional(v.array(v.string()), []),
});

type RouteItem = Item<v.InferOutput<typeof routeSchema>>;

/** Reads `ip -j route show`, of one table or of all. IPv6 routes are passed over. */
export function readRoutes(input: InputText): readonly RecordedRoute[] {
  return readList(input, "ip route", routeSchema).flatMap((item) => {
    const { value } = item;
    if (value.dst.includes(":") || value.gateway?.includes(":") === true) return [];
    if (value.dst !== "default" && parseIpv4Prefix(value.dst) === undefined)
      throw item.refuse("dst", `"${value.dst}" is not an IPv4 network`);
    return [
      {
        words: routeWords(item),
        table: String(value.table),
        protocol: value.protocol === undefined ? undefined : String(value.protocol),
        type: value.type,
        destination: value.dst,
        dev: value.dev,
        place: item.place,
      },
    ];
  });
}

/** The route as `ip route add` takes it. */
function routeWords({ value }: RouteItem): readonly string[] {
  const [metrics] = value.metrics ?? [];
  const pair = (name: string, given: string | number | undefined): readonly string[] =>
    given === undefined ? [] : [name, String(given)];
  return [
    ...(value.type === "unicast" ? [] : [value.type]),
    value.dst,
    ...(value.via === undefined ? [] : ["via", value.via.family, value.via.host]),
    ...pair("via", value.gateway),
    ...pair("dev", value.dev),
    ...(value.table === "main" ? [] : ["table", String(value.table)]),
    ...pair("proto", value.protocol),
    ...pair("scope", value.scope),
    ...pair("src", value.prefsrc),
    ...pair("metric", value.metric),
    ...pair("tos", value.tos),
    ...pair("mtu", metrics?.mtu),
    ...pair("advmss", metrics?.advmss),
    ...(value.flags.includes("onlink") ? ["onlink"] : []),
    ...value.nexthops.flatMap((hop) => [
      "nexthop",
      ...pair("via", hop.gateway),
      ...pair("dev", hop.dev),
      ...pair("weight", hop.weight),
      ...(hop.flags.includes("onlink") ? ["onlink"] : []),
    ]),
  ];
}

const ruleSchema = v.looseObject({
  priority: number,
  not: v.optional(v.unknown()),
  src: v.optional(word, "all"),
  srclen: v.optional(number),
  dst: v.optional(word, "all"),
  dstlen: v.optional(number),
  iif: v.optional(deviceName),
  oif: v.optional(deviceName),
  fwmark: v.optional(wordOrNumber),
  fwmask: v.optional(wordOrNumber),
  tos: v.optional(wordOrNumber),
  ipproto: v.optional(wordOrNumber),
  sport: v.optional(number),
  dport: v.optional(number),
  table: v.optional(wordOrNumber),
  action: v.optional(word),
  goto: v.optional(number),
  suppress_prefixlen: v.optional(number),
});

/** Reads `ip -j rule`. */
export function readPolicyRules(input: InputText): readonly RecordedPolicyRule[] {
  return readList(input, "ip rule", ruleSchema).map((item) => ({
    priority: item.value.priority,
    words: ruleWords(item.value),
    place: item.place,
  }));
}

function ruleWords(value: v.InferOutput<typeof ruleSchema>): readonly string[] {
  const pair = (name: string, given: string | number | undefined): readonly string[] =>
    given === undefined ? [] : [name, String(given)];
  const network = (name: string, address: string, length: number | undefined): readonly string[] =>
    address === "all" ? [] : [name, length === undefined ? address : `${address}/${length}`];
  const mark =
    value.fwmark === undefined
      ? undefined
      : `${value.fwmark}${value.fwmask === undefined ? "" : `/${value.fwmask}`}`;
  return [
    "priority",
    String(value.priority),
    ...("not" in value ? ["not"] : []),
    ...(value.src === "all" ? ["from", "all"] : network("from", value.src, value.srclen)),
    ...network("to", value.dst, value.dstlen),
    ...pair("iif", value.iif),
    ...pair("oif", value.oif),
    ...pair("fwmark", mark),
    ...pair("tos", value.tos),
    ...pair("ipproto", value.ipproto),
    ...pair("sport", value.sport),
    ...pair("dport", value.dport),
    ...pair("suppress_prefixlength", value.suppress_prefixlen),
    ...pair("goto", value.goto),
    ...(value.action === undefined ? [] : [value.action]),
    ...pair("lookup", value.table),
  ];
}

const neighbourSchema = v.looseObject({
  dst: word,
  dev: v.optional(deviceName),
  lladdr: v.optional(word),
  state: v.optional(v.array(word), []),
  proxy: v.optional(v.unknown()),
});

/** Reads `ip -j neigh`. IPv6 neighbours are passed over. */
export function readNeighbours(input: InputText): readonly RecordedNeighbour[] {
  return readList(input, "ip neigh", neighbourSchema).flatMap((item) => {
    const { dst, dev, lladdr, state } = item.value;
    if (dst.includes(":") || "proxy" in item.value) return [];
    const address = parseIpv4(dst);
    if (address === undefined) throw item.refuse("dst", `"${dst}" is not an IPv4 address`);
    if (dev === undefined) throw item.refuse("dst", `the neighbour ${dst} has no device`);
    const mac = lladdr === undefined ? undefined : parseMac(lladdr);
    if (lladdr !== undefined && mac === undefined)
      throw item.refuse("lladdr", `"${lladdr}" is not a MAC address`);
    return [
      {
        address,
        dev,
        mac,
        state: (state[0] ?? "none").toLowerCase(),
        place: item.place,
      },
    ];
  });
}

const fdbSchema = v.looseObject({
  mac: word,
  ifname: deviceName,
  dst: v.optional(v.string()),
  flags: v.optional(v.array(v.string()), []),
  master: v.optional(deviceName),
  state: v.optional(v.string(), ""),
});

/**
 * Reads `bridge -j fdb`: what bridges know of their ports, and tunnels of their other ends. Filters of devices
 * (`self` without an end) are passed over.
 */
export function readFdb(input: InputText): readonly RecordedFdbEntry[] {
  return readList(input, "bridge fdb", fdbSchema).flatMap((item) => {
    const { mac: text, ifname, dst, flags, master, state } = item.value;
    const mac = parseMac(text);
    if (mac === undefined) throw item.refuse("mac", `"${text}" is not a MAC address`);
    const remote = dst === undefined ? undefined : parseIpv4(dst);
    if (remote === undefined && (master === undefined || flags.includes("self"))) return [];
    return [
      {
        mac,
        dev: ifname,
        remote,
        permanent: state === "permanent",
        place: item.place,
      },
    ];
  });
}

const netnsSchema = v.looseObject({ nsid: number, name: v.optional(v.string()) });

/** Reads `ip -j netns list-id`: the names behind the ids that links give. */
export function readNetnsNames(input: InputText): ReadonlyMap<number, string> {
  return new Map(
    readList(input, "ip netns list-id", netnsSchema).flatMap(({ value }) =>
      value.name === undefined ? [] : [[value.nsid, value.name] as const],
    ),
  );
}

import * as v from "valibot";
import type { InputText } from "../../kube/load.js";
import type { RuleFamily } from "../../netfilter/iptables/addresses.js";
import {
  type IpAddress,
  type Ipv4,
  type Ipv6,
  parseIpv4,
  parseIpv4Prefix,
  parseIpv6,
  parseIpv6Prefix,
  parseMac,
} from "../../wire/ip.js";
import type {
  RecordedFdbEntry,
  RecordedGroup,
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
    v.array(
      v.looseObject({
        mtu: v.optional(number),
        advmss: v.optional(number),
        hoplimit: v.optional(number),
      }),
    ),
  ),
  pref: v.optional(word),
  nexthops: v.optional(v.array(hopSchema), []),
  flags: v.optional(v.array(v.string()), []),
});

type RouteItem = Item<v.InferOutput<typeof routeSchema>>;

/** Reads the IPv4 routes of `ip -j route show`, of one table or of all. */
export function readRoutes(input: InputText): readonly RecordedRoute[] {
  return routesOf(input, "ipv4");
}

/** Reads the IPv6 routes of `ip -j -6 route show`, or of a list of both families. */
export function readRoutes6(input: InputText): readonly RecordedRoute[] {
  return routesOf(input, "ipv6");
}

/** What the kernel has as the last route of all where no other one fits: it is there without being asked for. */
const NULL_ROUTE_METRIC = 4_294_967_295;

function routesOf(input: InputText, family: RuleFamily): readonly RecordedRoute[] {
  return readList(input, "ip route", routeSchema).flatMap((item) => {
    const { value } = item;
    if (routeFamily(item) !== family) return [];
    if (family === "ipv6" && value.metric === NULL_ROUTE_METRIC) return [];
    const prefix = family === "ipv4" ? parseIpv4Prefix(value.dst) : parseIpv6Prefix(value.dst);
    if (value.dst !== "default" && prefix === undefined)
      throw item.refuse(
        "dst",
        `"${value.dst}" is not an ${family === "ipv4" ? "IPv4" : "IPv6"} network`,
      );
    return [
      {
        words: routeWords(item),
        table: String(value.table),
        protocol: value.protocol === undefined ? undefined : String(value.protocol),
        type: value.type,
        destination: value.dst,
        dev: value.dev,
        metric: value.metric,
        unmodelled: UNMODELLED_OF_ROUTES.find((name) => name in value),
        place: item.place,
      },
    ];
  });
}

/** Of which family a route is: every IPv6 route has a preference, and a default route may have no address in it. */
function routeFamily({ value: { dst, gateway, pref } }: RouteItem): RuleFamily {
  return dst.includes(":") || gateway?.includes(":") === true || pref !== undefined
    ? "ipv6"
    : "ipv4";
}

/** Routes for some senders alone, routes into tunnels, and next hops that are objects of their own. */
const UNMODELLED_OF_ROUTES: readonly string[] = ["from", "encap", "nhid"];

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
    ...pair("hoplimit", metrics?.hoplimit),
    ...pair("pref", value.pref === "medium" ? undefined : value.pref),
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

/** Reads `ip -j rule`, or `ip -j -6 rule`. */
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

/** Reads the IPv4 neighbours of `ip -j neigh`. */
export function readNeighbours(input: InputText): readonly RecordedNeighbour[] {
  return neighboursOf<Ipv4>(input, parseIpv4);
}

/** Reads the IPv6 neighbours of `ip -j neigh` or `ip -j -6 neigh`. */
export function readNeighbours6(input: InputText): readonly RecordedNeighbour<Ipv6>[] {
  return neighboursOf<Ipv6>(input, parseIpv6);
}

function neighboursOf<A extends IpAddress>(
  input: InputText,
  parse: (text: string) => A | undefined,
): readonly RecordedNeighbour<A>[] {
  return readList(input, "ip neigh", neighbourSchema).flatMap((item) => {
    const { dst, dev, lladdr, state } = item.value;
    if ("proxy" in item.value) return [];
    const address = parse(dst);
    if (address === undefined) {
      if (parseIpv4(dst) !== undefined || parseIpv6(dst) !== undefined) return [];
      throw item.refuse("dst", `"${dst}" is not an ${dst.includes(":") ? "IPv6" : "IPv4"} address`);
    }
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
        router: "router" in item.value,
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
  vlan: v.optional(number),
  state: v.optional(v.string(), ""),
});

/**
 * Reads `bridge -j fdb`: what bridges know of their ports, and tunnels of their other ends. Filters of devices
 * (`self` without an end) are passed over, and so are entries of one VLAN: bridges are built without any.
 */
export function readFdb(input: InputText): readonly RecordedFdbEntry[] {
  return readList(input, "bridge fdb", fdbSchema).flatMap((item) => {
    const { mac: text, ifname, dst, flags, master, vlan, state } = item.value;
    const mac = parseMac(text);
    if (mac === undefined) throw item.refuse("mac", `"${text}" is not a MAC address`);
    const remote = dst === undefined ? undefined : (parseIpv4(dst) ?? parseIpv6(dst));
    if (remote === undefined && (master === undefined || flags.includes("self"))) return [];
    if (vlan !== undefined) return [];
    return [
      {
        mac,
        dev: ifname,
        remote,
        isRouter: flags.includes("router"),
        state: state === "permanent" || state === "static" ? state : "learned",
        place: item.place,
      },
    ];
  });
}

const mdbSchema = v.looseObject({
  mdb: v.pipe(
    v.array(
      v.looseObject({
        dev: deviceName,
        port: deviceName,
        grp: word,
        state: v.optional(v.string(), ""),
        vid: v.optional(number, 0),
        src: v.optional(word),
      }),
    ),
    v.maxLength(1_000_000),
  ),
});

/**
 * Reads `bridge -j mdb`: which groups were joined behind which ports. What the host itself is in, it joins again; groups of one
 * source or one VLAN are passed over.
 */
export function readGroups(input: InputText): readonly RecordedGroup[] {
  return readList(input, "bridge mdb", mdbSchema).flatMap((item) =>
    item.value.mdb.flatMap(({ dev: bridge, port: dev, grp, state, vid, src }) => {
      const group = parseIpv4(grp) ?? parseIpv6(grp);
      if (group === undefined && parseMac(grp) === undefined)
        throw item.refuse("mdb", `"${grp}" is not a group`);
      if (group === undefined || bridge === dev || vid !== 0 || src !== undefined) return [];
      return [{ bridge, dev, group, permanent: state === "permanent", place: item.place }];
    }),
  );
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

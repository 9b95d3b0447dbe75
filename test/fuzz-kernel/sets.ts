import { matchWords, type Protocol, type RulePlace } from "./matches.js";
import { type Network, serverPorts, subnet, virtual } from "./network.js";
import { insertRule, placeFor, ruledSpaces, ruleText } from "./ruleset.js";
import { targetWords } from "./targets.js";

/** A set that rules may name. */
interface IpSet {
  readonly name: string;
  /** How many parts an element has; of a list the most that one of its sets may have. */
  readonly parts: number;
  readonly counters: boolean;
  readonly timeout: boolean;
  readonly skbinfo: boolean;
  readonly nets: boolean;
  readonly isList: boolean;
}

type Part = "ip" | "net" | "port" | "iface" | "number" | "inRange" | "mac";

/** The types that the kernel of the judge has, with the parts of their elements. `only4`: there is none for IPv6. */
const TYPES: readonly {
  readonly type: string;
  readonly parts: readonly Part[];
  readonly only4?: boolean;
}[] = [
  { type: "hash:ip", parts: ["ip"] },
  { type: "hash:ip", parts: ["ip"] },
  { type: "hash:net", parts: ["net"] },
  { type: "hash:net", parts: ["net"] },
  { type: "hash:ip,port", parts: ["ip", "port"] },
  { type: "hash:net,port", parts: ["net", "port"] },
  { type: "hash:ip,port,ip", parts: ["ip", "port", "ip"] },
  { type: "hash:ip,port,net", parts: ["ip", "port", "net"] },
  { type: "hash:net,iface", parts: ["net", "iface"] },
  { type: "bitmap:port range 0-60000", parts: ["number"] },
  { type: "bitmap:ip range 10.0.0.0/8 netmask 24", parts: ["inRange"], only4: true },
  { type: "bitmap:ip,mac range 10.0.0.0/16", parts: ["inRange", "mac"], only4: true },
];

/** Sets in some namespaces, and rules that ask and change them. `six`: the lab will be about IPv6. */
export function addSets(network: Network, six: boolean): void {
  const { choose } = network;
  const spaces = ruledSpaces(network);
  const [first = ""] = spaces;
  for (const ns of spaces) {
    if (ns !== first && !choose.chance(0.5)) continue;
    const lines: string[] = [];
    const sets: IpSet[] = [];
    for (let count = choose.between(1, 4); count > 0; count--)
      sets.push(makeSet(network, ns, `s${sets.length + 1}`, six, lines));
    if (choose.chance(0.3)) sets.push(makeList(network, sets, lines));
    network.commands.unshift({ ns, run: "ipset restore -exist", rules: lines });
    for (let count = choose.between(2, 6); count > 0; count--) {
      const place = placeFor(network, ns, ["raw", "mangle", "nat", "filter", "filter"]);
      insertRule(network, place, setRule(place, place.chain, sets));
    }
  }
}

function makeSet(network: Network, ns: string, name: string, six: boolean, lines: string[]): IpSet {
  const { choose } = network;
  const { type, parts } = choose.one(TYPES.filter(({ only4 }) => !six || only4 !== true));
  const isHash = type.startsWith("hash");
  const set: IpSet = {
    name,
    parts: parts.length,
    counters: choose.chance(0.4),
    timeout: choose.chance(0.25),
    skbinfo: choose.chance(0.25),
    nets: parts.includes("net"),
    isList: false,
  };
  const elements = choose.times(0, 5, () => parts.map((part) => partText(network, ns, part, six)));
  const options = [
    isHash && six ? "family inet6" : "",
    type === "hash:ip" && choose.chance(0.2) ? `netmask ${six ? 64 : 24}` : "",
    // A range of ports is as many elements.
    isHash && !parts.includes("port") && choose.chance(0.15)
      ? `maxelem ${elements.length + choose.between(1, 2)}`
      : "",
    extensions(set),
    isHash && choose.chance(0.1) ? "forceadd" : "",
  ];
  lines.push(words("create", name, type, ...options));
  for (const element of elements)
    lines.push(words("add", name, element.join(","), elementOptions(network, set)));
  return set;
}

/** A list of sets that are there already. */
function makeList(network: Network, sets: readonly IpSet[], lines: string[]): IpSet {
  const { choose } = network;
  const members = [choose.one(sets), ...choose.some(sets, 2)];
  const set: IpSet = {
    name: "l",
    parts: Math.max(...members.map(({ parts }) => parts)),
    counters: choose.chance(0.4),
    timeout: choose.chance(0.2),
    skbinfo: choose.chance(0.2),
    nets: false,
    isList: true,
  };
  lines.push(words("create", set.name, "list:set", extensions(set)));
  for (const { name } of new Set(members))
    lines.push(words("add", set.name, name, elementOptions(network, set)));
  return set;
}

function extensions({ counters, timeout, skbinfo }: IpSet): string {
  return words(
    timeout ? "timeout 86000" : "",
    counters ? "counters" : "",
    skbinfo ? "skbinfo" : "",
  );
}

function elementOptions({ choose }: Network, set: IpSet): string {
  return words(
    set.timeout && choose.chance(0.4) ? `timeout ${choose.one([0, 70_000])}` : "",
    set.nets && choose.chance(0.25) ? "nomatch" : "",
    set.counters && choose.chance(0.3) ? `packets ${choose.between(0, 4)} bytes 100` : "",
    set.skbinfo && choose.chance(0.6)
      ? `skbmark ${choose.one(["0x1", "0x2", "0x10/0x10"])}${choose.chance(0.3) ? " skbprio 1:2" : ""}`
      : "",
  );
}

function partText(network: Network, ns: string, part: Part, six: boolean): string {
  const { choose } = network;
  const address = (): string =>
    choose.chance(0.85) ? choose.one(network.addresses).address : choose.one(virtual);
  switch (part) {
    case "ip":
      return address();
    case "net":
      return choose.make([
        address,
        () => `${subnet(address())}.0/24`,
        () => `${subnet(address())}.0/24`,
        () => `${subnet(address())}.0/25`,
        () => "10.0.0.0/8",
      ]);
    case "port":
      return choose.make([
        () => `tcp:${choose.one(serverPorts)}`,
        () => `udp:${choose.one(serverPorts)}`,
        () => `${choose.one(["tcp", "udp"])}:${40_000 + choose.between(1, 6)}`,
        () => (six ? `icmpv6:${choose.one([128, 129])}/0` : `icmp:${choose.one([8, 0])}/0`),
        () => "tcp:50-90",
      ]);
    case "iface":
      return choose.one([...network.devices(ns), "lo"]);
    case "number":
      return choose.make([
        () => String(choose.one(serverPorts)),
        () => String(40_000 + choose.between(1, 6)),
        () => "40-100",
      ]);
    case "inRange":
      return choose.one([
        ...network.addresses.map(({ address: one }) => one).filter(inRange),
        "10.0.1.2",
      ]);
    case "mac":
      return `02:00:00:00:0${choose.between(1, 4)}:0${choose.between(1, 2)}`;
  }
}

/** Whether 10.0.0.0/16 holds it. */
function inRange(address: string): boolean {
  return address.startsWith("10.0.");
}

function setRule(place: RulePlace, chain: string, sets: readonly IpSet[]): string {
  const { choose } = place.network;
  const protocol: Protocol = choose.one([undefined, undefined, undefined, "tcp", "udp", "icmp"]);
  const plain = protocol === undefined ? [] : [`-p ${protocol}`];
  const others = choose.chance(0.4) ? matchWords(place, protocol, true) : plain;
  const asks = choose.chance(0.65);
  const changes = !asks || choose.chance(0.3);
  return ruleText(chain, [
    ...others,
    asks ? setMatch(place, choose.one(sets)) : "",
    changes ? setTarget(place, choose.one(sets)) : targetWords(place, protocol, []),
  ]);
}

/** `src,dst…`: mostly as many as the elements have parts. */
function flags({ network }: RulePlace, { parts }: IpSet): string {
  const { choose } = network;
  const count = choose.chance(0.85) ? parts : choose.between(1, 3);
  return Array.from({ length: count }, () => choose.one(["src", "dst"])).join(",");
}

function setMatch(place: RulePlace, set: IpSet): string {
  const { choose } = place.network;
  const counted = set.counters || set.isList;
  const compared = choose.one(["eq", "eq", "lt", "gt"]);
  return words(
    "-m set",
    choose.chance(0.3) ? "!" : "",
    `--match-set ${set.name} ${flags(place, set)}`,
    set.nets && choose.chance(0.25) ? "--return-nomatch" : "",
    counted && choose.chance(0.25) ? "! --update-counters" : "",
    set.isList && choose.chance(0.25) ? "! --update-subcounters" : "",
    counted && choose.chance(0.3)
      ? `${compared === "eq" && choose.chance(0.3) ? "! " : ""}--${choose.one(["packets", "bytes"])}-${compared} ${choose.one([1, 2, 60, 120])}`
      : "",
  );
}

function setTarget(place: RulePlace, set: IpSet): string {
  const { choose } = place.network;
  const to = `${set.name} ${flags(place, set)}`;
  if (set.skbinfo && place.table === "mangle" && choose.chance(0.6))
    return `-j SET --map-set ${to} --map-mark`;
  if (choose.chance(0.3)) return `-j SET --del-set ${to}`;
  return words(
    `-j SET --add-set ${to}`,
    choose.chance(0.2) ? "--exist" : "",
    set.timeout && choose.chance(0.3) ? "--timeout 60000" : "",
  );
}

function words(...all: readonly string[]): string {
  return all.filter((word) => word !== "").join(" ");
}

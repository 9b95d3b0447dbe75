import { matchWords, type Protocol, type RulePlace } from "./matches.js";
import { type Network, serverPorts, subnet } from "./network.js";
import { insertRule, placeFor, ruledSpaces, ruleText } from "./ruleset.js";
import { targetWords } from "./targets.js";

type Table = RulePlace["table"];

/** A module with where it is accepted; all tables and hooks if nothing is said. */
interface Module {
  readonly tables?: readonly Table[];
  readonly hooks?: readonly string[];
  readonly protocols?: readonly ("tcp" | "udp" | "icmp")[];
  /** Undefined: in labs of both families. */
  readonly family?: 4 | 6;
  /** It has addresses of its own: no other matches stand beside it. */
  readonly isAlone?: boolean;
  readonly words: (place: RulePlace, six: boolean) => string;
}

/** Rules with modules that look at routes, sockets, bytes and hashes, and targets that take packets elsewhere. */
export function addModules(network: Network, six: boolean): void {
  const { choose } = network;
  const spaces = ruledSpaces(network);
  for (let count = choose.between(3, 8); count > 0; count--) {
    const ns = choose.one(spaces);
    const asks = choose.chance(0.6);
    const fitting = (asks ? MATCHES : TARGETS).filter(
      ({ family }) => family === undefined || (family === 6) === six,
    );
    addModule(network, ns, choose.one(fitting), asks, six);
  }
  if (choose.chance(0.3)) addProxy(network, choose.one(spaces));
}

function addModule(
  network: Network,
  ns: string,
  module: Module,
  asks: boolean,
  six: boolean,
): void {
  const { choose } = network;
  const { tables = ["raw", "mangle", "nat", "filter"], hooks, protocols } = module;
  const place = placeFor(network, ns, tables, hooks);
  const protocol: Protocol = choose.one(
    protocols ?? [undefined, undefined, undefined, "tcp", "udp", "icmp"],
  );
  const plain = protocol === undefined ? [] : [`-p ${protocol}`];
  const others =
    module.isAlone !== true && choose.chance(0.3) ? matchWords(place, protocol, true) : plain;
  insertRule(
    network,
    place,
    ruleText(place.chain, [
      ...others,
      module.words(place, six),
      asks ? targetWords(place, protocol, []) : "",
    ]),
  );
}

const IN = ["PREROUTING", "INPUT"] as const;

function not({ network }: RulePlace): string {
  return network.choose.chance(0.3) ? "! " : "";
}

function flagsOf({ network }: RulePlace, words: readonly string[]): string {
  return network.choose
    .some(words, 2)
    .map((word) => ` ${word}`)
    .join("");
}

/** Programs for `-m bpf` that hold for some packets of both families. */
const PROGRAMS: readonly string[] = [
  "4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0",
  "4,48 0 0 9,21 0 1 17,6 0 0 1,6 0 0 0",
  "4,128 0 0 0,37 0 1 60,6 0 0 1,6 0 0 0",
  "6,48 0 0 8,36 0 0 3,4 0 0 1,21 0 1 190,6 0 0 1,6 0 0 0",
  "2,32 0 0 4000,6 0 0 1",
  "7,48 0 0 9,21 0 4 6,177 0 0 0,72 0 0 2,21 0 1 80,6 0 0 65535,6 0 0 0",
];

const MATCHES: readonly Module[] = [
  {
    tables: ["raw", "mangle"],
    hooks: ["PREROUTING"],
    words: (place) =>
      `-m rpfilter${flagsOf(place, ["--loose", "--validmark", "--accept-local", "--invert"])}`,
  },
  {
    tables: ["raw", "mangle"],
    hooks: ["PREROUTING"],
    words: (place) => `-m rpfilter${flagsOf(place, ["--loose", "--invert"])}`,
  },
  {
    hooks: IN,
    words: (place) =>
      `-m socket${flagsOf(place, ["--nowildcard", "--transparent", "--restore-skmark"])}`,
  },
  {
    hooks: IN,
    words: (place) => `-m socket${flagsOf(place, ["--nowildcard", "--transparent"])}`,
  },
  { words: (place) => `-m bpf --bytecode "${place.network.choose.one(PROGRAMS)}"` },
  {
    words: (place) =>
      `-m cluster --cluster-total-nodes ${place.network.choose.one([2, 3])} ${not(place)}--cluster-local-node 1 --cluster-hash-seed ${place.network.choose.one([7, 99])}`,
  },
  {
    words: (place) =>
      `-m connlabel ${not(place)}--label "${place.network.choose.one([3, 7])}"${flagsOf(place, ["--set"])}`,
  },
  {
    protocols: ["tcp"],
    tables: ["raw", "mangle", "filter"],
    hooks: ["PREROUTING", "INPUT", "FORWARD"],
    words: (place) =>
      `-m osf ${not(place)}--genre ${place.network.choose.one(["Linux", "Windows"])}`,
  },
  {
    hooks: ["OUTPUT", "INPUT", "POSTROUTING"],
    words: (place) => `-m cgroup ${not(place)}--cgroup ${place.network.choose.one([0, 5])}`,
  },
  {
    hooks: ["OUTPUT", "FORWARD", "POSTROUTING"],
    words: ({ network }) => `-m policy --dir out --pol ${network.choose.one(["none", "ipsec"])}`,
  },
  {
    hooks: ["PREROUTING", "INPUT", "FORWARD"],
    words: (place) => `-m devgroup ${not(place)}--src-group ${place.network.choose.one([0, 5])}`,
  },
  {
    family: 4,
    hooks: ["INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
    words: (place) => `-m realm ${not(place)}--realm 0`,
  },
  {
    family: 4,
    words: ({ network }) => network.choose.one(["-f", "! -f"]),
  },
  {
    family: 6,
    words: (place) =>
      `-m ipv6header ${not(place)}--header ${place.network.choose.one(["frag", "none", "hop", "dst", "auth"])}${flagsOf(place, ["--soft"])}`,
  },
  {
    family: 6,
    words: ({ network }) =>
      `-m frag --fragid 0:4294967295${network.choose.one(["", " --fragfirst", " --fragmore", " --fraglast"])}`,
  },
  {
    family: 6,
    tables: ["raw", "mangle", "filter"],
    hooks: ["PREROUTING", "INPUT", "FORWARD"],
    words: () => "-m eui64",
  },
];

/** Where TEE is asked to copy; docs/fuzzing.md says why not elsewhere. */
const COPIED = ["PREROUTING", "INPUT", "FORWARD"] as const;

const TARGETS: readonly Module[] = [
  { tables: ["mangle"], hooks: COPIED, protocols: ["udp", "icmp"], words: tee },
  { tables: ["mangle"], hooks: COPIED, protocols: ["udp", "icmp"], words: tee },
  { tables: ["mangle"], words: hmark },
  { tables: ["mangle"], words: hmark },
  {
    tables: ["raw"],
    words: ({ network }) =>
      network.choose.one([
        "-j CT --zone-orig 7",
        "-j CT --zone-reply 7",
        "-j CT --zone mark",
        "-j CT --ctevents new,destroy",
        "-j TRACE",
      ]),
  },
  {
    tables: ["mangle", "filter", "raw"],
    words: ({ network }) =>
      `-j NFQUEUE ${network.choose.one(["--queue-num 5", "--queue-num 6 --queue-bypass", "--queue-balance 1:4 --queue-bypass"])}`,
  },
  {
    tables: ["filter"],
    words: ({ network }) => `-j AUDIT --type ${network.choose.one(["accept", "drop", "reject"])}`,
  },
  {
    tables: ["mangle"],
    hooks: ["FORWARD", "OUTPUT", "POSTROUTING"],
    protocols: ["tcp"],
    words: ({ network }) =>
      `-m tcp --tcp-flags SYN,RST SYN -j TCPMSS ${network.choose.one(["--set-mss 1420", "--clamp-mss-to-pmtu"])}`,
  },
  {
    family: 6,
    tables: ["mangle"],
    hooks: ["INPUT", "POSTROUTING"],
    isAlone: true,
    words: (place) => translated(place, "-s", "SNPT"),
  },
  {
    family: 6,
    tables: ["mangle"],
    hooks: ["PREROUTING", "OUTPUT"],
    isAlone: true,
    words: (place) => translated(place, "-d", "DNPT"),
  },
];

function tee({ network, ns }: RulePlace): string {
  const { choose } = network;
  const friends = network.neighbours(ns);
  if (friends.length === 0 || choose.chance(0.2))
    return `-j TEE --gateway ${choose.one(network.addresses).address}`;
  const friend = choose.one(friends);
  return `-j TEE --gateway ${friend.address}${choose.chance(0.2) ? ` --oif ${friend.via}` : ""}`;
}

function hmark({ network }: RulePlace): string {
  const { choose } = network;
  const fields = choose.one([
    "--hmark-tuple src,dst,sport,dport,proto",
    "--hmark-tuple ct,src,dst,sport,dport",
    "--hmark-src-prefix 24 --hmark-dst-prefix 16",
    "--hmark-sport-mask 0xff00 --hmark-dport 9 --hmark-proto-mask 0xf",
  ]);
  return `-j HMARK ${fields} --hmark-mod ${choose.one([2, 3])} --hmark-offset ${choose.one([0, 1])} --hmark-rnd ${choose.one(["7", "0xfeed"])}`;
}

/** Only of its prefix: of other addresses the checksum is spoiled. */
function translated({ network }: RulePlace, side: string, target: string): string {
  const net = (): string => `${subnet(network.choose.one(network.addresses).address)}.0/24`;
  const from = net();
  return `${side} ${from} -j ${target} --src-pfx ${from} --dst-pfx ${net()}`;
}

/** A proxy that takes what is for others, with or without the policy route that brings it there. */
function addProxy(network: Network, ns: string): void {
  const { choose } = network;
  if (network.of(ns).length === 0) return;
  const brings = choose.chance(0.8);
  if (brings) {
    network.run(ns, "ip rule add fwmark 0x1/0x1 lookup 101 pref 90");
    network.run(ns, "ip route add local default dev lo table 101");
  }
  const [tcp, udp] = [3128, 5353];
  if (choose.chance(0.8)) network.listen.push({ ns, what: `tcp/${tcp} transparent` });
  if (choose.chance(0.8)) network.listen.push({ ns, what: `udp/${udp} transparent` });
  for (let count = choose.between(1, 3); count > 0; count--) {
    const protocol = choose.one(["tcp", "udp"] as const);
    const place = placeFor(network, ns, ["mangle"], ["PREROUTING"]);
    const ip = choose.chance(0.3)
      ? ` --on-ip ${choose.one([choose.one(network.of(ns)).address, "127.0.0.1"])}`
      : "";
    const port = choose.chance(0.15) ? 0 : protocol === "tcp" ? tcp : udp;
    const asked = choose.chance(0.5) ? ` -m ${protocol} --dport ${choose.one(serverPorts)}` : "";
    insertRule(
      network,
      place,
      `-A PREROUTING -p ${protocol}${asked} -j TPROXY --on-port ${port}${ip} --tproxy-mark ${choose.chance(0.85) ? "0x1/0x1" : "0x2"}`,
    );
  }
  if (choose.chance(0.5)) {
    const place = placeFor(network, ns, ["mangle"], IN);
    const rest = choose.one(["-j MARK --set-xmark 0x1/0xffffffff", "-j ACCEPT", ""]);
    insertRule(network, place, ruleText(place.chain, ["-p tcp -m socket --transparent", rest]));
  }
}

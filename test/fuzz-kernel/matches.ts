import { type Network, serverPorts, subnet, virtual } from "./network.js";

/** What a rule is about to be part of. `hook` is undefined in a user chain. */
export interface RulePlace {
  readonly network: Network;
  readonly ns: string;
  readonly table: "raw" | "mangle" | "nat" | "filter" | "security";
  readonly hook: string | undefined;
}

export type Protocol = "tcp" | "udp" | "icmp" | undefined;

/** The protocol, addresses, interfaces and modules of a rule, in words. */
export function matchWords(
  place: RulePlace,
  protocol: Protocol,
  restless: boolean,
): readonly string[] {
  const { choose } = place.network;
  const words: string[] = [];
  const address = (): string => ruleAddress(place.network);
  const not = (): string => (choose.chance(0.2) ? "! " : "");
  if (choose.chance(0.2)) words.push(`${not()}-s ${address()}`);
  if (choose.chance(0.25)) words.push(`${not()}-d ${address()}`);
  words.push(...interfaces(place));
  if (protocol !== undefined) words.push(`-p ${protocol}`);
  const count = choose.one([0, 0, 1, 1, 1, 2]);
  for (let at = 0; at < count; at++) words.push(match(place, protocol, restless));
  return words;
}

function ruleAddress({ choose, addresses }: Network): string {
  const { address } = choose.one(addresses);
  return choose.make([
    () => `${address}/32`,
    () => `${address}/32`,
    () => `${subnet(address)}.0/24`,
    () => `${choose.one(virtual)}/32`,
    () => "10.0.0.0/8",
  ]);
}

function interfaces({ network, ns, hook }: RulePlace): readonly string[] {
  const { choose } = network;
  const not = (): string => (choose.chance(0.2) ? "! " : "");
  const device = (): string => choose.one([...network.devices(ns), "lo", "e+"]);
  const words: string[] = [];
  if (hook !== "OUTPUT" && hook !== "POSTROUTING" && choose.chance(0.12))
    words.push(`${not()}-i ${device()}`);
  if (hook !== "PREROUTING" && hook !== "INPUT" && choose.chance(0.12))
    words.push(`${not()}-o ${device()}`);
  return words;
}

function match(place: RulePlace, protocol: Protocol, restless: boolean): string {
  const { choose } = place.network;
  if (protocol !== undefined && choose.chance(0.5)) return ofProtocol(place, protocol);
  if (choose.chance(0.3)) return ofConnection(place);
  if (restless && choose.chance(0.15)) return counting(place);
  return ofPacket(place);
}

/** A negation, now and then. */
function maybeNot({ network }: RulePlace): string {
  return network.choose.chance(0.2) ? "! " : "";
}

function ofProtocol(place: RulePlace, protocol: "tcp" | "udp" | "icmp"): string {
  const { choose } = place.network;
  const not = maybeNot(place);
  if (protocol === "icmp")
    return `-m icmp ${not}--icmp-type ${choose.one(["8", "0", "3", "3/3", "11", "any", "8/0", "3/1"])}`;
  const port = (): number => choose.one(serverPorts);
  const ports: readonly (() => string)[] = [
    () => `-m ${protocol} ${not}--dport ${port()}`,
    () => `-m ${protocol} ${not}--dport 50:100`,
    () => `-m ${protocol} ${not}--sport ${port()}`,
    () => `-m ${protocol} ${not}--sport 40000:40003`,
    () => `-m multiport ${not}--dports ${port()},8000:9000`,
    () => `-m multiport ${not}--sports 80,40001:40004`,
    () => `-m multiport ${not}--ports 53,40002`,
  ];
  const flags: readonly (() => string)[] = [
    () => `-m tcp ${not}--tcp-flags FIN,SYN,RST,ACK SYN`,
    () => `-m tcp ${not}--tcp-flags SYN,ACK SYN,ACK`,
    () => `-m tcp ${not}--tcp-flags RST RST`,
    () => `-m tcp ${not}--tcp-flags FIN FIN`,
    () => `-m tcp ${not}--tcp-flags PSH PSH`,
    () => `-m tcp ${not}--tcp-option ${choose.one([2, 3, 4, 8])}`,
    () => `-m tcpmss ${not}--mss 1000:1460`,
    () => `-m ecn ${not}--ecn-tcp-cwr`,
  ];
  return choose.make(protocol === "tcp" && choose.chance(0.5) ? flags : ports);
}

function ofConnection(place: RulePlace): string {
  const { choose, addresses } = place.network;
  const not = maybeNot(place);
  const { address } = choose.one(addresses);
  return choose.make([
    () => `-m conntrack ${not}--ctstate ${states(place)}`,
    () => `-m conntrack ${not}--ctstate ${states(place)}`,
    () =>
      `-m state ${not}--state ${choose.one(["NEW", "ESTABLISHED", "RELATED,ESTABLISHED", "INVALID", "UNTRACKED"])}`,
    () => `-m conntrack ${not}--ctproto ${choose.one([1, 6, 17])}`,
    () => `-m conntrack ${not}--ctorigsrc ${address}/32`,
    () => `-m conntrack ${not}--ctorigdst ${choose.one([address, ...virtual])}/32`,
    () => `-m conntrack ${not}--ctreplsrc ${address}/32`,
    () => `-m conntrack ${not}--ctrepldst ${address}/32`,
    () => `-m conntrack ${not}--ctorigdstport ${choose.one(serverPorts)}`,
    () => `-m conntrack ${not}--ctreplsrcport ${choose.one(serverPorts)}`,
    () =>
      `-m conntrack ${not}--ctstatus ${choose.one(["SEEN_REPLY", "ASSURED", "CONFIRMED", "NONE"])}`,
    () => `-m conntrack --ctdir ${choose.one(["ORIGINAL", "REPLY"])}`,
    () => `-m connmark ${not}--mark ${mark(place)}`,
    () =>
      `-m connbytes --connbytes ${choose.one(["2", "0:3", "3:5"])} --connbytes-mode packets --connbytes-dir ${choose.one(["original", "reply", "both"])}`,
    () => `-m connbytes --connbytes 100:400 --connbytes-mode bytes --connbytes-dir both`,
    () => `-m helper ${not}--helper ftp`,
  ]);
}

function states({ network }: RulePlace): string {
  return network.choose.one([
    "NEW",
    "ESTABLISHED",
    "RELATED",
    "RELATED,ESTABLISHED",
    "INVALID",
    "UNTRACKED",
    "DNAT",
    "SNAT",
  ]);
}

/** A mark with a mask, of few values so that rules meet. */
export function mark({ network }: RulePlace): string {
  return network.choose.one(["0x1", "0x2", "0x10/0x10", "0x1/0xf", "0x0", "0x4000/0x4000"]);
}

function ofPacket(place: RulePlace): string {
  const { network, hook, ns } = place;
  const { choose, addresses } = network;
  const not = maybeNot(place);
  const { address } = choose.one(addresses);
  const makers: (() => string)[] = [
    () => `-m mark ${not}--mark ${mark(place)}`,
    () => `-m mark ${not}--mark ${mark(place)}`,
    () =>
      `-m addrtype ${not}--dst-type ${choose.one(["LOCAL", "UNICAST", "BROADCAST", "LOCAL,UNICAST", "BLACKHOLE"])}`,
    () =>
      `-m addrtype ${not}--src-type ${choose.one(["LOCAL", "UNICAST", "UNREACHABLE", "PROHIBIT"])}`,
    () => `-m pkttype ${not}--pkt-type ${choose.one(["unicast", "broadcast"])}`,
    () => `-m length ${not}--length ${choose.one(["60", "40:59", "33", "0:100"])}`,
    () => `-m ttl ${choose.one(["--ttl-eq 64", "--ttl-lt 63", "--ttl-gt 62", "! --ttl-eq 64"])}`,
    () => `-m dscp ${not}--dscp 0x${choose.one(["00", "0c", "30"])}`,
    () => `-m tos ${not}--tos ${choose.one(["0x00/0xff", "0xc0/0xc0", "0x10/0x3f"])}`,
    () => `-m ecn ${not}--ecn-ip-ect ${choose.one([0, 1, 2])}`,
    () =>
      `-m iprange ${not}--${choose.one(["src", "dst"])}-range ${subnet(address)}.1-${subnet(address)}.50`,
    () => '-m comment --comment "a comment"',
    () => `-m string ${not}--string "hell" --algo ${choose.one(["bm", "kmp"])}`,
    () => `-m string --hex-string "|4500|" --algo bm --to 2`,
    () => `-m u32 ${not}--u32 "0x6&0xff=${choose.one(["0x1", "0x6", "0x11"])}"`,
    () => `-m u32 --u32 "0x0>>0x16&0x3c@0x0&0xffff=0x35,0x50"`,
    () => `-m physdev ${not}--physdev-in ${physical(network, ns)}`,
    () => `-m physdev ${not}--physdev-is-in`,
  ];
  if (hook !== "OUTPUT") makers.push(() => `-m physdev ${not}--physdev-is-bridged`);
  if (hook === "FORWARD" || hook === "POSTROUTING")
    makers.push(() => `-m physdev ${not}--physdev-out ${physical(network, ns)}`);
  if (hook === "OUTPUT" || hook === "POSTROUTING")
    makers.push(
      () => `-m owner ${not}--uid-owner ${choose.one([0, 1000])}`,
      () => `-m owner ${not}--socket-exists`,
    );
  if (hook === "PREROUTING" || hook === "INPUT" || hook === "FORWARD")
    makers.push(
      () =>
        `-m mac ${not}--mac-source 02:00:00:00:0${choose.between(1, 4)}:0${choose.between(1, 2)}`,
    );
  if (hook === "PREROUTING" || hook === "INPUT" || hook === "FORWARD")
    makers.push(() => `-m addrtype ${not}--dst-type LOCAL --limit-iface-in`);
  if (hook === "POSTROUTING" || hook === "FORWARD")
    makers.push(() => `-m addrtype ${not}--src-type LOCAL --limit-iface-out`);
  if (hook !== undefined && hook !== "OUTPUT" && hook !== "POSTROUTING")
    makers.push(() => `-m policy --dir in --pol ${choose.one(["none", "ipsec"])}`);
  return choose.make(makers);
}

function physical(network: Network, ns: string): string {
  const ports = network.bridges.filter((one) => one.ns === ns).flatMap((one) => one.ports);
  return network.choose.one([...ports, "eth0"]);
}

/** Modules that remember: each packet changes what the next one meets. */
function counting(place: RulePlace): string {
  const { choose } = place.network;
  const not = maybeNot(place);
  return choose.make([
    () =>
      `-m statistic --mode nth ${not}--every ${choose.one([2, 3])} --packet ${choose.one([0, 1])}`,
    () => `-m quota ${not}--quota ${choose.one([100, 500])}`,
    () => `-m limit --limit 1/hour --limit-burst ${choose.one([1, 3])}`,
    () => `-m recent --set --name R --${choose.one(["rsource", "rdest"])}`,
    () => `-m recent ${not}--rcheck --name R --rsource`,
    () => `-m recent ${not}--update --seconds 600 --hitcount 2 --name R --rsource`,
    () => `-m recent --remove --name R --rsource`,
    () =>
      `-m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 2 --hashlimit-mode srcip --hashlimit-name h${choose.between(1, 999)}`,
  ]);
}

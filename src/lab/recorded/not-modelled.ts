import type { TraceEvent } from "../../core/trace.js";
import { isMapping } from "../../kube/load/check.js";
import type { InputText } from "../../kube/load.js";
import type { RuleFamily } from "../../netfilter/iptables/addresses.js";
import { isLinkTalk } from "../../wire/icmpv6.js";
import { formatIpv4 } from "../../wire/ip.js";
import type { NodeRecord } from "./node-record.js";

/** A table of nft's own, which nobody evaluates, and the hooks that its base chains stand in. */
export interface NativeTable {
  /** `inet fw`. */
  readonly name: string;
  readonly hooks: readonly string[];
  readonly line: number;
}

/** A virtual server of IPVS. */
interface VirtualServer {
  /** `tcp 10.96.44.10:80`; `mark 7`. */
  readonly name: string;
  readonly line: number;
}

/**
 * What of a node's dump is not modelled and was on the way of a packet, each once: nft tables of nobody's iptables, and
 * virtual servers of IPVS, and rules that ask about them. Reads the trace.
 */
export function notModelledOnPath(
  records: Iterable<NodeRecord>,
  events: readonly TraceEvent[],
): readonly string[] {
  return [...records].flatMap((record) => {
    const of = (family: RuleFamily): readonly TraceEvent[] =>
      events.filter((event) => event.ns === record.name && familyOf(event) === family);
    const [v4, v6] = [of("ipv4"), of("ipv6")];
    return [
      ...new Set([...tablesMet(record, v4, "ipv4"), ...tablesMet(record, v6, "ipv6")]),
      ...serversMet(record, v4),
      ...questionsMet(record, [...v4, ...v6]),
    ];
  });
}

/**
 * Tables with base chains, of families that packets of a family pass. What iptables-nft and ip6tables-nft keep their rules in
 * is left out: their saves have the same rules.
 */
export function nativeTables(
  input: InputText,
  saved: boolean,
  family: RuleFamily = "ipv4",
): readonly NativeTable[] {
  const tables = /^\s*[{[]/.test(input.text) ? tablesOfJson(input.text) : tablesOfText(input.text);
  return tables.filter(
    ({ name, hooks }) =>
      hooks.length > 0 && PASSED[family].test(name) && !(saved && OF_TOOLS[family].test(name)),
  );
}

const PASSED = { ipv4: /^(ip|inet|bridge|netdev) /, ipv6: /^(ip6|inet|bridge|netdev) / };
const OF_TOOLS = {
  ipv4: /^ip (filter|nat|mangle|raw|security)$/,
  ipv6: /^ip6 (filter|nat|mangle|raw|security)$/,
};

function tablesMet(
  record: NodeRecord,
  here: readonly TraceEvent[],
  family: RuleFamily,
): readonly string[] {
  const { nft, name } = record;
  if (nft === undefined || here.length === 0) return [];
  const met = hooksMet(here);
  return nativeTables(nft, hasSave(record, family), family).flatMap((table) => {
    const hooks = table.hooks.filter((hook) => met.has(hook));
    return hooks.length === 0
      ? []
      : [
          `nft table ${table.name} of ${name} (${nft.file}:${table.line}) has chains at ${hooks.join(", ")}, and rules of nft's own are not modelled`,
        ];
  });
}

/** Whether a save of the family's tool says what its tables in nft hold. */
export function hasSave({ rules }: NodeRecord, family: RuleFamily = "ipv4"): boolean {
  return rules.some((one) => one.family === family);
}

/** Where in the node packets were: a chain at another hook has not seen them. */
function hooksMet(here: readonly TraceEvent[]): ReadonlySet<string> {
  const met = new Set(["prerouting", "postrouting", "ingress", "egress"]);
  for (const event of here) {
    if (event.kind === "born") met.add("output");
    if (event.kind === "delivered") met.add("input");
    if (event.kind === "bridge") met.add("forward");
    if (event.kind === "route" && event.direction === "input")
      met.add(event.result === "local" ? "input" : "forward");
  }
  return met;
}

function serversMet({ ipvs, name }: NodeRecord, here: readonly TraceEvent[]): readonly string[] {
  if (ipvs === undefined) return [];
  const servers = new Map(virtualServers(ipvs.text).map((server) => [server.name, server]));
  const met = new Set<VirtualServer>();
  for (const event of here) {
    const server = servers.get(targetOf(event)) ?? servers.get(markOf(event));
    if (server !== undefined) met.add(server);
  }
  return [...met].map(
    (server) =>
      `IPVS of ${name} balances ${server.name} (${ipvs.file}:${server.line}), and IPVS is not modelled`,
  );
}

/** Rules that asked whether IPVS had a packet, where IPVS has something to do. */
function questionsMet({ ipvs, name }: NodeRecord, here: readonly TraceEvent[]): readonly string[] {
  if (ipvs === undefined || virtualServers(ipvs.text).length === 0) return [];
  const asked = here.find((event) => event.kind === "rule" && / -m ipvs /.test(event.text));
  return asked === undefined
    ? []
    : [
        `a rule of ${name} asks for packets of IPVS, and its virtual servers (${ipvs.file}:1) are not modelled`,
      ];
}

/** Of the packet; neighbour discovery and its like are nobody's question. */
function familyOf(event: TraceEvent): RuleFamily | undefined {
  if (!("frame" in event)) return undefined;
  const { network, transport } = event.frame;
  if (transport?.kind === "icmpv6" && isLinkTalk(transport.type)) return undefined;
  return network?.kind === "ipv4" || network?.kind === "ipv6" ? network.kind : undefined;
}

function targetOf(event: TraceEvent): string {
  if (!("frame" in event)) return "";
  const { network, transport } = event.frame;
  if (network?.kind !== "ipv4" || (transport?.kind !== "tcp" && transport?.kind !== "udp"))
    return "";
  return `${transport.kind} ${formatIpv4(network.destination)}:${transport.destinationPort}`;
}

function markOf(event: TraceEvent): string {
  return "mark" in event ? `mark ${event.mark}` : "";
}

/** Reads what `ipvsadm -Sn` prints: `-A -t 10.96.44.10:80 -s rr`. Lines about real servers say nothing more here. */
function virtualServers(text: string): readonly VirtualServer[] {
  return text.split("\n").flatMap((row, index) => {
    const [, option = "", value = ""] = /^-A -([tuf]) (\S+)/.exec(row.trim()) ?? [];
    const word = { t: "tcp", u: "udp", f: "mark" }[option];
    return word === undefined ? [] : [{ name: `${word} ${value}`, line: index + 1 }];
  });
}

/** `table inet fw {` with `type filter hook input priority …` inside, or `add chain inet fw input { type … }`. */
function tablesOfText(text: string): readonly NativeTable[] {
  const found = new Map<string, { readonly hooks: string[]; readonly line: number }>();
  let table: string | undefined;
  text.split("\n").forEach((row, index) => {
    const line = index + 1;
    const opened = /^\s*(?:add )?table (\w+ )?([\w.-]+)/.exec(row);
    const chain = /^\s*add chain (\w+) ([\w.-]+) /.exec(row);
    if (opened !== null) table = `${opened[1]?.trim() ?? "ip"} ${opened[2] ?? ""}`;
    else if (chain !== null) table = `${chain[1] ?? ""} ${chain[2] ?? ""}`;
    if (table === undefined) return;
    const own = found.get(table) ?? { hooks: [], line };
    found.set(table, own);
    const hook = /\btype \w+ hook (\w+)/.exec(row)?.[1];
    if (hook !== undefined && !own.hooks.includes(hook)) own.hooks.push(hook);
    if (row.startsWith("}")) table = undefined;
  });
  return [...found].map(([name, own]) => ({ name, ...own }));
}

function tablesOfJson(text: string): readonly NativeTable[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [];
  }
  const list: unknown = isMapping(value) ? value["nftables"] : undefined;
  const found = new Map<string, string[]>();
  for (const item of Array.isArray(list) ? list : []) {
    const chain: unknown = isMapping(item) ? item["chain"] : undefined;
    if (!isMapping(chain)) continue;
    const { family, table, hook } = chain;
    if (typeof family !== "string" || typeof table !== "string" || typeof hook !== "string")
      continue;
    const name = `${family} ${table}`;
    const hooks = found.get(name) ?? [];
    found.set(name, hooks);
    if (!hooks.includes(hook)) hooks.push(hook);
  }
  return [...found].map(([name, hooks]) => ({ name, hooks, line: 1 }));
}

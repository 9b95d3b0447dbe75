import type { TraceEvent } from "../../core/trace.js";
import { formatAddress } from "../../netfilter/iptables/addresses.js";
import type { Frame, IpHeader, NetworkHeader } from "../../wire/frame.js";
import { isLinkTalk } from "../../wire/icmpv6.js";
import type { RecordedNode } from "./cables.js";
import type { RecordedLab } from "./recorded-lab.js";

/**
 * What was not recorded and decided what became of a packet, each once. Reads the trace: only what packets came to
 * counts.
 */
export function missingOnPath(
  { nodes, outsides }: RecordedLab,
  events: readonly TraceEvent[],
): readonly string[] {
  const byName = new Map(nodes.map((node) => [node.record.name, node]));
  const byOutside = new Map(outsides.map(({ ns, missing }) => [ns, missing]));
  const found = new Set<string>();
  for (const event of events) {
    const node = byName.get(event.ns);
    const text =
      node === undefined
        ? event.kind === "delivered" && event.to.startsWith("outside")
          ? byOutside.get(event.ns)
          : undefined
        : missingAt(node, event);
    if (text !== undefined) found.add(text);
  }
  return [...found];
}

function missingAt(node: RecordedNode, event: TraceEvent): string | undefined {
  switch (event.kind) {
    case "route":
      return missingRoute(node, event);
    case "device":
      // A packet that passes a node is shown to its rules, whatever they are.
      return missingRules(node, event.frame);
    case "dropped":
      return event.reason === "NEIGH_FAILED" || event.reason === "NEIGH_CREATEFAIL"
        ? missingNeighbour(node, event)
        : undefined;
    default:
      return undefined;
  }
}

/** Of the family of the packet. Neighbour discovery passes rules too, but is not what was asked about. */
function missingRules({ record }: RecordedNode, { network, transport }: Frame): string | undefined {
  if (network === undefined || network.kind === "arp") return undefined;
  if (transport?.kind === "icmpv6" && isLinkTalk(transport.type)) return undefined;
  if (record.rules.some(({ family }) => family === network.kind)) return undefined;
  const tool = network.kind === "ipv4" ? "iptables-save" : "ip6tables-save";
  return `no ${tool} of ${record.name} was recorded, so what its rules do is not known`;
}

function missingRoute(
  { record }: RecordedNode,
  event: Extract<TraceEvent, { kind: "route" }>,
): string | undefined {
  const header = event.frame.network;
  if (event.result !== "error" || !isIp(header)) return undefined;
  const six = header.kind === "ipv6";
  if ((six ? record.routes6 : record.routes) !== undefined) return undefined;
  return `no ${six ? "IPv6 " : ""}routes of ${record.name} were recorded (ip -j ${six ? "-6 " : ""}route), so where ${formatAddress(header.destination)} goes is not known`;
}

function isIp(header: NetworkHeader | undefined): header is IpHeader {
  return header?.kind === "ipv4" || header?.kind === "ipv6";
}

/** Nobody answered on a bridge some of whose ports lead to namespaces that were not recorded. */
function missingNeighbour(
  { record, devices }: RecordedNode,
  event: Extract<TraceEvent, { kind: "dropped" }>,
): string | undefined {
  const bridge = devices.find(({ name, kind }) => name === event.dev && kind === "bridge");
  const open = devices.filter(({ master, kind }) => kind === "cable" && master === bridge?.name);
  const header = event.frame.network;
  if (bridge === undefined || open.length === 0 || !isIp(header)) return undefined;
  return `who has ${formatAddress(header.destination)} behind ${bridge.name} of ${record.name} was not recorded`;
}

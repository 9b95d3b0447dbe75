import type { ComparedFrames, ReplayedPacket } from "../core/replay-recording.js";
import type { RuleEvent } from "../core/trace.js";
import type { Frame } from "../wire/frame.js";
import { formatIpv4 } from "../wire/ip.js";
import { type Change, changesBetween, destinationOf, sourceOf } from "./fields.js";
import type { PacketEvent } from "./follow.js";
import { type Verdict, verdictName } from "./outcome.js";
import { placeText } from "./text.js";
import { type TraceView, viewOf } from "./trace-view.js";

/** One line of a replay. */
export interface ReplayRow {
  readonly packet: ReplayedPacket;
  readonly mark: "ok" | "!" | "?";
  /**
   * An outcome of a trace (`DELIVERED`, …), or: `AS-CAPTURED`, the world brought it out by itself; `DIFFERS`, it did and
   * not the same; `CONTRADICTED`, the world would not have let it happen.
   */
  readonly verdict: string;
  /** Who got it, or what decided: `shop/api-1`, `shop/db-0 ingress`, `worker-2 filter FORWARD[2]`. */
  readonly where: string;
  /** What the capture and the world do not agree about. */
  readonly differences: readonly Change[];
  /** The rule or policy that decided, with its place; empty where none did. */
  readonly rule: string;
  readonly exit: 0 | 1 | 3;
}

/** Judges one captured packet. `view` is that of its recording, where it is there already. */
export function replayRow(packet: ReplayedPacket, view?: TraceView): ReplayRow {
  const { result } = packet;
  switch (result.kind) {
    case "sent":
      return sentRow(packet, view ?? viewOf(result.recording), result.compared);
    case "seen": {
      const row = comparedRow(packet, result.compared);
      return row.mark === "ok" ? { ...row, where: `brought by packet ${result.by}` } : row;
    }
    case "contradicted":
      return {
        ...row(packet, "!", "CONTRADICTED"),
        where: `it answers packet ${result.by}, which did not arrive here`,
        exit: 1,
      };
    case "unknown":
      return { ...row(packet, "?", "UNKNOWN"), where: result.reason, exit: 3 };
  }
}

function sentRow(
  packet: ReplayedPacket,
  { verdict }: TraceView,
  compared: readonly ComparedFrames[],
): ReplayRow {
  const { exit } = verdict;
  const mark = exit === 0 ? "ok" : exit === 3 ? "?" : "!";
  const judged: ReplayRow = {
    ...row(packet, mark, verdictName(verdict)),
    where: whereOf(verdict),
    rule: ruleOf(verdict),
    exit,
  };
  if (exit !== 0 || compared.length === 0) return judged;
  const differences = distinct(compared.flatMap(differencesOf));
  return differences.length === 0
    ? { ...judged, where: `${judged.where}, as captured` }
    : { ...judged, ...comparedRow(packet, compared) };
}

function comparedRow(packet: ReplayedPacket, compared: readonly ComparedFrames[]): ReplayRow {
  const differences = distinct(compared.flatMap(differencesOf));
  return differences.length === 0
    ? row(packet, "ok", "AS-CAPTURED")
    : {
        ...row(packet, "!", "DIFFERS"),
        where: differences
          .map(({ field, from, to }) => `${field} ${from} captured, ${to} here`)
          .join("; "),
        differences,
        exit: 1,
      };
}

function row(packet: ReplayedPacket, mark: ReplayRow["mark"], verdict: string): ReplayRow {
  return { packet, mark, verdict, where: "", differences: [], rule: "", exit: 0 };
}

/** What differs that both sides know: no MAC addresses of another world, no id that each kernel counts by itself. */
function differencesOf(compared: ComparedFrames): readonly Change[] {
  const { captured, world, otherMacs, ownId, whole } = compared;
  const headers = changesBetween(captured, world).filter(
    ({ field }) =>
      !(otherMacs && /^eth\.|hw_mac$/.test(field)) && !(ownId && /^ip\.(id|ttl)$/.test(field)),
  );
  const same = !whole || sameBytes(captured.payload, world.payload) || ownId;
  return same
    ? headers
    : [
        ...headers,
        {
          field: "data",
          from: `${captured.payload.length} bytes`,
          to: `${world.payload.length} other bytes`,
        },
      ];
}

/** Parts of one packet differ in the same. */
function distinct(changes: readonly Change[]): readonly Change[] {
  const byField = new Map(changes.map((change) => [change.field, change] as const));
  return [...byField.values()];
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function whereOf({ outcome, deciding, because }: Verdict): string {
  const denied = /^(ingress|egress) of ([^:]+):/.exec(because);
  if (outcome === "DENIED" && denied !== null) return `${denied[2] ?? ""} ${denied[1] ?? ""}`;
  if (deciding?.kind === "delivered")
    return deciding.to.startsWith("capture ")
      ? `back to ${deciding.to.slice("capture ".length)}`
      : deciding.to.startsWith("outside")
        ? deciding.to
        : deciding.ns;
  if (deciding?.kind === "rule" || deciding?.kind === "policy")
    return `${deciding.ns} ${stepName(deciding)}${"place" in deciding && deciding.place !== undefined ? `   ${placeText(deciding.place)}` : ""}`;
  return because;
}

function stepName(event: Extract<PacketEvent, { kind: "rule" | "policy" }>): string {
  return event.kind === "rule"
    ? `${event.table} ${event.chain}[${event.number}]`
    : `${event.table} ${event.chain} policy`;
}

function ruleOf({ deciding }: Verdict): string {
  if (deciding?.kind === "rule") return `${stepName(deciding)} ${ruleText(deciding)}`;
  return deciding?.kind === "policy" ? stepName(deciding) : "";
}

function ruleText({ text, place }: RuleEvent): string {
  return place === undefined ? text : `${text}   ${placeText(place)}`;
}

/** `10.244.1.5:40112 > 10.96.44.10:80`; what is no IP packet by its kind. */
export function flowText(frame: Frame | undefined): string {
  if (frame === undefined) return "?";
  const { network, transport, link } = frame;
  if (network?.kind === "arp")
    return network.operation === 1
      ? `ARP who-has ${formatIpv4(network.targetIp)}`
      : `ARP reply ${formatIpv4(network.senderIp)}`;
  const from = sourceOf(frame);
  if (from === "") return `ethertype 0x${link.etherType.toString(16).padStart(4, "0")}`;
  const icmp = transport?.kind === "icmp" ? ` icmp ${transport.type}/${transport.code}` : "";
  return `${from} > ${destinationOf(frame)}${icmp}`;
}

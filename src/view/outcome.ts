import type { Recording } from "../core/recording.js";
import type {
  DroppedEvent,
  PolicyEvent,
  RuleEvent,
  SocketEvent,
  TraceEvent,
} from "../core/trace.js";
import { ICMP_DEST_UNREACH, ICMP_TIME_EXCEEDED } from "../wire/icmp.js";
import { isIcmpv6Error } from "../wire/icmpv6.js";
import { TCP_RST } from "../wire/tcp.js";
import type { Frame } from "../wire/frame.js";
import { policySide } from "./steps.js";
import { type Conversation, fateOf, type Leg, type PacketEvent } from "./follow.js";

/** The closed list of answers. */
export type Outcome =
  | "DELIVERED"
  | "LEFT-CLUSTER"
  | "DENIED"
  | "DROPPED"
  | "REJECTED"
  | "NO-ROUTE"
  | "NO-NEIGHBOUR"
  | "NO-ENDPOINT"
  | "NO-NAME"
  | "NOT-LISTENING"
  | "LOOP"
  | "UNKNOWN";

export interface Verdict {
  readonly outcome: Outcome;
  /** The request arrived, and only the way back failed: shown as `REPLY-DROPPED`. */
  readonly onReply: boolean;
  readonly exit: 0 | 1 | 3;
  /** What decided: the rule, policy or drop. */
  readonly deciding: PacketEvent | undefined;
  /** One clause about why, in plain words. */
  readonly because: string;
  /** What the program that sent the request is told. */
  readonly senderSees: string;
}

/** `DELIVERED`, `REPLY-DROPPED`, …: as outputs and exit codes name it. */
export function verdictName(verdict: Verdict): string {
  return verdict.onReply ? `REPLY-${verdict.outcome}` : verdict.outcome;
}

/** What became of a request. Reads the trace alone. */
export function verdictOf(recording: Recording, { out, back }: Conversation): Verdict {
  const sees = senderSees(recording.events);
  const make = (
    outcome: Outcome,
    because: string,
    deciding?: PacketEvent,
    onReply = false,
  ): Verdict => ({
    outcome,
    onReply,
    exit: outcome === "UNKNOWN" ? 3 : outcome === "DELIVERED" || outcome === "LEFT-CLUSTER" ? 0 : 1,
    deciding,
    because,
    senderSees: sees,
  });
  const [missing] = recording.unknown;
  if (missing !== undefined) return make("UNKNOWN", missing);
  if (recording.lookup?.unknown !== undefined) return make("UNKNOWN", recording.lookup.unknown);
  if (recording.lookup?.error !== undefined) {
    return make("NO-NAME", `${recording.lookup.asked}: ${recording.lookup.error}`);
  }
  const unmodelled = [...(out?.events ?? []), ...(back?.events ?? [])].find(
    (event) => event.kind === "unknown",
  );
  if (unmodelled?.kind === "unknown") return make("UNKNOWN", unmodelled.what, unmodelled);
  if (out === undefined) return make(...withoutPacket(recording.events));
  const judged = judgeLeg(out, recording);
  if (judged !== undefined) return make(...judged);
  if (back === undefined || recording.oneWay) return make("DELIVERED", "", fateOf(out));
  const answer = judgeAnswer(back);
  if (answer !== undefined) return make(...answer);
  const returned = judgeLeg(back, recording);
  if (returned !== undefined) return make(returned[0], returned[1], returned[2], true);
  return make("DELIVERED", "", fateOf(out));
}

type Judgement = readonly [outcome: Outcome, because: string, deciding: PacketEvent | undefined];

/** Why a leg did not arrive; undefined when it did. */
function judgeLeg(leg: Leg, recording: Recording): Judgement | undefined {
  const fate = fateOf(leg);
  if (fate === undefined)
    return ["UNKNOWN", "the packet was still under way when the run ended", leg.events.at(-1)];
  if (fate.kind === "delivered")
    return fate.to.startsWith("outside") ? ["LEFT-CLUSTER", fate.to, fate] : undefined;
  if (fate.kind !== "dropped") return undefined;
  return judgeDrop(fate, leg, recording);
}

function judgeDrop(fate: DroppedEvent, leg: Leg, recording: Recording): Judgement {
  switch (fate.reason) {
    case "NETFILTER_DROP": {
      const rule = decidingRule(leg);
      if (rule === undefined) return ["DROPPED", `${fate.where}: ${fate.reason}`, fate];
      if (rule.kind === "policy") return ["DROPPED", `policy of ${rule.table} ${rule.chain}`, rule];
      if (rule.place !== undefined && recording.makers.get(rule.place.file)?.name === "kube-router")
        return ["DENIED", deniedBecause(rule, recording), rule];
      if (rule.outcome?.startsWith("REJECT") === true)
        return [refusalOf(rule, recording), "", rule];
      return ["DROPPED", "", rule];
    }
    case "NO_SOCKET":
      return ["NOT-LISTENING", `nothing listens there in ${fate.ns}`, fate];
    case "IP_INNOROUTES":
    case "IP_OUTNOROUTES":
      return ["NO-ROUTE", `${fate.ns} has no route`, fate];
    case "NEIGH_FAILED":
    case "NEIGH_CREATEFAIL":
      return ["NO-NEIGHBOUR", `nobody answered ARP in ${fate.ns}`, fate];
    case "IP_INHDR":
      return fate.where === "ip_forward" && visitedTwice(leg)
        ? ["LOOP", "the packet went round until its TTL was used up", fate]
        : [
            "DROPPED",
            fate.where === "ip_forward" ? `TTL used up in ${fate.ns}` : fate.reason,
            fate,
          ];
    default: {
      const routed = leg.events.findLast((event) => event.kind === "route");
      if (routed?.kind === "route" && routed.result === "error")
        return ["NO-ROUTE", routed.text, routed];
      const refused = leg.events.findLast((event) => event.kind === "bridge");
      if (refused?.kind === "bridge" && refused.action === "refuse" && refused.ns === fate.ns)
        return ["DROPPED", `bridge ${refused.bridge} of ${refused.ns}: ${refused.why}`, refused];
      return ["DROPPED", `${fate.reason} in ${fate.where}`, fate];
    }
  }
}

/** Which pod refuses, which way, and the policies whose rules were looked at in vain. */
function deniedBecause(rule: RuleEvent, recording: Recording): string {
  const origin =
    rule.place === undefined
      ? undefined
      : recording.makers.get(rule.place.file)?.origins.get(rule.place.line);
  const side = policySide(rule, origin, recording);
  if (side === undefined) return "by the policy engine";
  const policies =
    side.policies.length === 0 ? "the policies that select it" : side.policies.join(", ");
  return `${side.direction} of ${side.pod}: no rule of ${policies} allows it`;
}

/** A REJECT that kube-proxy wrote for a Service without endpoints is an answer of its own. */
function refusalOf(rule: RuleEvent, recording: Recording): Outcome {
  const made = rule.place === undefined ? undefined : recording.makers.get(rule.place.file)?.name;
  return made === "kube-proxy" && rule.text.includes("has no endpoints")
    ? "NO-ENDPOINT"
    : "REJECTED";
}

function decidingRule(leg: Leg): RuleEvent | PolicyEvent | undefined {
  const found = leg.events.findLast(
    (event) =>
      (event.kind === "rule" && event.matched && event.effect === "drop") ||
      (event.kind === "policy" && event.policy === "DROP"),
  );
  return found?.kind === "rule" || found?.kind === "policy" ? found : undefined;
}

function visitedTwice(leg: Leg): boolean {
  const arrivals = leg.events.filter((event) => event.kind === "route").map((event) => event.ns);
  return new Set(arrivals).size < arrivals.length;
}

/** An answer that says no. */
function judgeAnswer(back: Leg): Judgement | undefined {
  const frame = back.events[0]?.frame;
  if (frame === undefined) return undefined;
  if (isReset(frame)) return ["NOT-LISTENING", "the far host answered with RST", back.events[0]];
  if (isIcmpError(frame)) return ["REJECTED", "an ICMP error came back", back.events[0]];
  return undefined;
}

function isReset({ transport }: Frame): boolean {
  return transport?.kind === "tcp" && (transport.flags & TCP_RST) !== 0;
}

function isIcmpError({ transport }: Frame): boolean {
  if (transport?.kind === "icmpv6") return isIcmpv6Error(transport.type);
  return (
    transport?.kind === "icmp" &&
    (transport.type === ICMP_DEST_UNREACH || transport.type === ICMP_TIME_EXCEEDED)
  );
}

/** The send itself failed: no packet was made. */
function withoutPacket(events: readonly TraceEvent[]): Judgement {
  const error = events.find(
    (event): event is SocketEvent => event.kind === "socket" && event.errno !== undefined,
  );
  if (error?.errno === "ENETUNREACH" || error?.errno === "EHOSTUNREACH")
    return ["NO-ROUTE", error.text, undefined];
  return ["DROPPED", error?.text ?? "nothing was sent", undefined];
}

const ERRNO_TEXT: Readonly<Record<string, string>> = {
  EACCES: "permission denied (EACCES)",
  ECONNREFUSED: "connection refused (ECONNREFUSED)",
  ECONNRESET: "connection reset by peer (ECONNRESET)",
  EHOSTUNREACH: "no route to host (EHOSTUNREACH)",
  EINVAL: "invalid argument (EINVAL)",
  ENETUNREACH: "network is unreachable (ENETUNREACH)",
  ENOPROTOOPT: "protocol not available (ENOPROTOOPT)",
  EPERM: "operation not permitted (EPERM)",
  ETIMEDOUT: "no answer: connection timeout (ETIMEDOUT)",
};

/** What the request's own socket was told first. A UDP socket is "connected" without a packet: that tells nothing. */
function senderSees(events: readonly TraceEvent[]): string {
  const [opened] = events.filter(isSocketEvent);
  const told = events
    .filter(isSocketEvent)
    .find(
      (event) =>
        event.socket === opened?.socket &&
        (event.errno !== undefined ||
          event.action === "received" ||
          (event.action === "connected" && event.socket.startsWith("tcp"))),
    );
  if (told === undefined || opened === undefined) return "no answer";
  const wait = (told.time - opened.time) / 1_000_000;
  const after = wait >= 1 ? ` after ${Math.round(wait)} s` : "";
  if (told.errno !== undefined) return `${ERRNO_TEXT[told.errno] ?? told.errno}${after}`;
  return told.action === "connected" ? "connected" : "an answer";
}

function isSocketEvent(event: TraceEvent): event is SocketEvent {
  return event.kind === "socket";
}

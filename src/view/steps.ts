import type { Place } from "../base/errors.js";
import { unreachable } from "../base/errors.js";
import type { Recording } from "../core/recording.js";
import type { BridgeEvent, ConntrackEvent, RouteEvent, RuleEvent } from "../core/trace.js";
import { formatIpv4 } from "../wire/ip.js";
import type { Frame } from "../wire/frame.js";
import { type Change, changesBetween, destinationOf, sourceOf } from "./fields.js";
import { logText } from "./log-text.js";
import type { Leg, PacketEvent } from "./follow.js";

/** `*` packet changed, `~` state changed, `ok` delivered, `!` denied or dropped, `?` unknown. */
export type Mark = "" | "*" | "~" | "ok" | "!" | "?";

/** One line of a trace. Every output shows the same steps with the same numbers. */
export interface Step {
  /** Counts from 1 over the request and its answer. */
  readonly n: number;
  readonly leg: "out" | "back";
  readonly packet: number;
  /** In microseconds from the start of the run. */
  readonly time: number;
  readonly ns: string;
  readonly dev: string | undefined;
  readonly hook: string | undefined;
  readonly table: string | undefined;
  readonly chain: string | undefined;
  readonly rule: number | undefined;
  readonly text: string | undefined;
  readonly place: Place | undefined;
  /** `nat KUBE-SERVICES[3]`, `route`, `socket tcp/8080`. */
  readonly step: string;
  readonly effect: string;
  readonly mark: Mark;
  readonly changes: readonly Change[];
  readonly counter: readonly [number, number] | undefined;
  readonly state: readonly string[];
  /** Shown without -v: it decided where the packet goes, changed it, or ended it. */
  readonly decisive: boolean;
  /** The packet right after the step. */
  readonly frame: Frame;
  /** The event it was made from. */
  readonly event: PacketEvent;
}

/** A step before it has its number. */
type Draft = Step;

/** The steps of a request and its answer, numbered through. */
export function stepsOf(
  recording: Recording,
  legs: { readonly out: Leg | undefined; readonly back: Leg | undefined },
): readonly Step[] {
  const out = legs.out === undefined ? [] : draftsOf(recording, legs.out);
  const back =
    legs.back === undefined
      ? []
      : draftsOf(recording, legs.back).map((draft): Draft => ({ ...draft, leg: "back" }));
  const all = [...out, ...back];
  // A spread that only replaces fields is cheap; one that adds some is not.
  return all.map((draft, index) => ({
    ...draft,
    n: index + 1,
    decisive: draft.decisive && !isRoutine(draft, all, index),
  }));
}

/**
 * What decides nothing any more: the way back is known, so its routes are not news; neither is a node's word that it
 * does not masquerade, unless the node has just translated the packet.
 */
function isRoutine(draft: Draft, all: readonly Draft[], index: number): boolean {
  if (draft.event.kind === "route") return draft.leg === "back" && draft.mark === "";
  if (draft.event.kind !== "rule" || draft.event.effect !== "return") return false;
  return !all.some(
    (other, at) => at < index && other.mark === "*" && other.decisive && other.ns === draft.ns,
  );
}

/** One leg's events as lines: what belongs together is told once. */
function draftsOf(recording: Recording, leg: Leg): readonly Draft[] {
  const drafts: Draft[] = [];
  const walk = new CallPath();
  // A change that no line tells yet waits for the next line: changes are against the frame that was last shown.
  let shown = leg.events[0];
  leg.events.forEach((event, index) => {
    const context: Context = {
      recording,
      event,
      rest: leg.events.slice(index + 1, index + 4),
      changes: shown === undefined ? NO_CHANGES : changesBetween(shown.frame, event.frame),
      markBefore: shown?.mark ?? 0,
      walk,
    };
    if (mergeSilentRules(drafts, context)) return;
    if (!mergeRewrite(drafts, context)) {
      const draft = draftOf(context);
      if (draft === undefined) return;
      drafts.push(draft);
    }
    shown = event;
  });
  return drafts;
}

interface Context {
  readonly recording: Recording;
  readonly event: PacketEvent;
  /** The events that follow, a few. */
  readonly rest: readonly PacketEvent[];
  readonly changes: readonly Change[];
  readonly markBefore: number;
  readonly walk: CallPath;
}

/** Which rules called the chain that is being walked. */
class CallPath {
  #calls: string[] = [];

  follow(event: RuleEvent): void {
    if (event.effect === "jump" || event.effect === "goto")
      this.#calls.push(`${event.chain}[${event.number}]`);
  }

  /** The rule that asked for the chain of this event. */
  caller(event: RuleEvent): string | undefined {
    return this.#calls.findLast((call) => !call.startsWith(`${event.chain}[`));
  }
}

/** A rewrite told by the hook walker belongs to the rule that asked for it, just before. */
function mergeRewrite(drafts: Draft[], { event, changes }: Context): boolean {
  if (event.kind !== "rewrite") return false;
  const last = drafts.findLast((draft) => draft.event.kind !== "conntrack");
  if (
    last?.event.kind !== "rule" ||
    !last.event.matched ||
    last.event.hook !== event.hook ||
    last.ns !== event.ns
  )
    return false;
  if (
    !/^(DNAT|SNAT|MASQUERADE|REDIRECT|NETMAP|TTL|TOS|DSCP|TCPMSS|ECN)/.test(
      last.event.outcome ?? "",
    )
  )
    return false;
  const told = rewriteText(event.before, event.after);
  drafts[drafts.lastIndexOf(last)] = {
    ...last,
    effect: `${last.event.outcome ?? ""} ${told}`.trim(),
    mark: "*",
    changes: [...last.changes, ...changes],
    decisive: true,
    frame: event.after,
  };
  return true;
}

/** Rules in a row that are about another destination are one line: `no match in 9 rules`, or none when one matches at last. */
function mergeSilentRules(drafts: Draft[], { event, rest }: Context): boolean {
  if (event.kind !== "rule" || event.matched || !isElsewhere(event)) return false;
  const [next] = rest;
  const goesOn = next?.kind === "rule" && next.chain === event.chain && next.table === event.table;
  if (goesOn) return true;
  if (drafts.at(-1)?.chain === event.chain && drafts.at(-1)?.table === event.table) return true;
  drafts.push({
    ...common(event),
    hook: event.hook,
    table: event.table,
    chain: event.chain,
    step: `${event.table} ${event.chain}`,
    effect: `no match in ${event.number} ${event.number === 1 ? "rule" : "rules"}`,
  });
  return true;
}

/** Whether a rule failed because it is about some other address, protocol or port: not worth a line of its own. */
function isElsewhere(event: RuleEvent): boolean {
  return !/random|mark|source|state|probability|limit/i.test(event.failed ?? "");
}

function draftOf(context: Context): Draft | undefined {
  const { event, changes } = context;
  switch (event.kind) {
    case "born":
    case "unknown":
      return event.kind === "born" ? undefined : unknownDraft(context);
    case "device":
      return deviceDraft(context);
    case "bridge":
      return {
        ...common(event),
        step: isHairpin(event) ? "bridge forward" : "bridge",
        effect: bridgeText(event),
        mark: event.action === "learn" ? "~" : event.action === "refuse" ? "!" : "",
        changes,
        decisive: isHairpin(event) || event.action === "refuse",
      };
    case "rule":
      return ruleDraft(context);
    case "policy":
      return {
        ...common(event),
        hook: event.hook,
        table: event.table,
        chain: event.chain,
        place: event.place,
        counter: event.counter,
        changes,
        step: `${event.table} ${event.chain} policy`,
        effect:
          event.policy === "DROP"
            ? "DROP"
            : `ACCEPT after ${event.rulesLookedAt} ${event.rulesLookedAt === 1 ? "rule" : "rules"}${ttlText(changes)}`,
        mark: event.policy === "DROP" ? "!" : "",
        decisive: event.policy === "DROP",
      };
    case "log":
      // Records for programs that listen are part of the rule's own line: policy engines make one for every denied packet.
      if (event.by !== "LOG") return undefined;
      return {
        ...common(event),
        hook: event.hook,
        step: "kernel log",
        effect: logText(event).trimEnd(),
        changes,
        decisive: true,
      };
    case "rewrite":
      return rewriteDraft(context);
    case "conntrack":
      return conntrackDraft(event, changes);
    case "route":
      return routeDraft(event, context);
    case "neighbour":
      return {
        ...common(event),
        step: `neighbour ${event.address}`,
        effect:
          event.mac === undefined
            ? event.why
            : event.from === event.to
              ? event.mac
              : `${event.mac}  ${event.from} => ${event.to}`,
        mark: changes.length > 0 ? "*" : event.from === event.to ? "" : "~",
        changes,
      };
    case "delivered":
      return {
        ...common(event),
        dev: undefined,
        step: event.to,
        effect: event.to.startsWith("outside") ? "LEFT" : "DELIVERED",
        mark: "ok",
        changes,
        decisive: true,
      };
    case "dropped":
      return dropDraft(context);
    default:
      return unreachable(event);
  }
}

const NO_CHANGES: readonly Change[] = [];
const NO_STATE: readonly string[] = [];

function common(event: PacketEvent): Draft {
  return {
    n: 0,
    leg: "out",
    packet: event.packet,
    time: event.time,
    ns: event.ns,
    dev: deviceOf(event),
    hook: undefined,
    table: undefined,
    chain: undefined,
    rule: undefined,
    text: undefined,
    place: undefined,
    step: event.kind,
    effect: "",
    mark: "",
    changes: NO_CHANGES,
    counter: undefined,
    state: NO_STATE,
    decisive: false,
    frame: event.frame,
    event,
  };
}

/** Inside a hook the device that `-o` or `-i` sees, a bridge rather than its port. */
function deviceOf(event: PacketEvent): string | undefined {
  if (
    event.kind !== "rule" &&
    event.kind !== "policy" &&
    event.kind !== "rewrite" &&
    event.kind !== "log"
  )
    return event.dev;
  return event.out ?? event.in ?? event.dev;
}

function ruleDraft(context: Context): Draft | undefined {
  const { event, changes, markBefore, walk, recording } = context;
  if (event.kind !== "rule") return undefined;
  const caller = walk.caller(event);
  if (event.matched) walk.follow(event);
  const markText =
    event.mark === markBefore ? undefined : `mark ${hex(markBefore)} => ${hex(event.mark)}`;
  const maker = event.place === undefined ? undefined : recording.makers.get(event.place.file);
  const origin = event.place === undefined ? undefined : maker?.origins.get(event.place.line);
  const drops = event.effect === "drop" && event.matched;
  const draft: Draft = {
    ...common(event),
    hook: event.hook,
    table: event.table,
    chain: event.chain,
    rule: event.number,
    text: event.text,
    place: event.place,
    counter: event.matched ? event.counter : undefined,
    changes,
    step: `${event.table} ${event.chain}[${event.number}]`,
    effect: ruleEffect(event, markText, caller),
    mark: drops ? "!" : markText === undefined ? "" : "~",
    state: [
      ...(markText === undefined ? [] : [markText]),
      ...(origin === undefined ? [] : [`made for ${origin}`]),
    ],
    decisive: isDecisive(event, markText),
  };
  return maker?.name === "kube-router"
    ? { ...draft, ...policyDraft(event, origin, recording) }
    : draft;
}

/** What a rule of the policy engine comes down to: a policy that allows, or a pod that refuses. The rest is its bookkeeping. */
function policyDraft(
  event: RuleEvent,
  origin: string | undefined,
  recording: Recording,
): Partial<Draft> {
  const side = policySide(event, origin, recording);
  if (side === undefined || !event.matched) return { decisive: false };
  const step = `netpol ${side.direction} ${side.pod}`;
  if (event.effect === "drop") return { step, effect: "DENIED", mark: "!", decisive: true };
  if (
    event.outcome !== "MARK" ||
    side.policies.length === 0 ||
    event.chain.startsWith("KUBE-POD-FW")
  )
    return { decisive: false };
  return { step, effect: `allowed by ${side.policies.join(", ")}`, decisive: true };
}

/** Whose traffic a rule of the policy engine is about, which way, and the policies it was made from. */
export interface PolicySide {
  readonly direction: "ingress" | "egress";
  readonly pod: string;
  readonly policies: readonly string[];
}

/** Reads `Pod shop/db-0, NetworkPolicy shop/db-from-api` and the packet's addresses; undefined for rules about nobody. */
export function policySide(
  event: RuleEvent,
  origin: string | undefined,
  { names }: Recording,
): PolicySide | undefined {
  if (origin === undefined) return undefined;
  const made = origin.split(", ");
  const policies = made.flatMap((one) =>
    one.startsWith("NetworkPolicy ") ? [one.slice("NetworkPolicy ".length)] : [],
  );
  const owner = made.find((one) => one.startsWith("Pod "))?.slice("Pod ".length);
  const source = names.get(sourceOf(event.frame).replace(/:\d+$/, ""));
  const destination = names.get(destinationOf(event.frame).replace(/:\d+$/, ""));
  const word = /(ingress|egress)/.exec(event.text)?.[1];
  const egress =
    owner === undefined ? word === "egress" : owner === source && owner !== destination;
  const pod = owner ?? (egress ? source : destination);
  if (pod === undefined) return undefined;
  return { direction: egress ? "egress" : "ingress", pod, policies };
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

function ruleEffect(
  event: RuleEvent,
  markText: string | undefined,
  caller: string | undefined,
): string {
  if (!event.matched) return `no match: ${event.failed ?? "its conditions"}`;
  if (markText !== undefined) {
    if (caller === undefined || !event.chain.includes("MARK")) return markText;
    return caller.startsWith("KUBE-SEP-")
      ? `${markText} (source is the endpoint itself)`
      : `${markText}, asked for by ${caller}`;
  }
  switch (event.effect) {
    case "jump":
    case "goto":
      return `-> ${event.outcome ?? ""}${/ADDRTYPE|addrtype/.test(event.text) ? " (address is local)" : ""}`;
    case "return":
      return /-m mark/.test(event.text)
        ? `return: mark 0x${event.mark.toString(16)}${event.chain === "KUBE-POSTROUTING" ? ", no masquerade" : ""}`
        : "return";
    case "accept":
      return event.outcome ?? "ACCEPT";
    case "drop":
    case "stolen":
      return event.outcome ?? "DROP";
    case "continue":
      return event.outcome ?? "counted";
    default:
      return unreachable(event.effect);
  }
}

/** The rules that a reader looks for: a choice among endpoints, a jump deeper down, a mark, an end. */
function isDecisive(event: RuleEvent, markText: string | undefined): boolean {
  if (!event.matched) return /random/.test(event.failed ?? "");
  if (markText !== undefined || event.effect === "drop" || event.effect === "stolen") return true;
  const builtIn = /^(PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING)$/.test(event.chain);
  if (event.effect === "return")
    return !builtIn && /-m mark/.test(event.text) && /MASQ|POSTROUTING/.test(event.chain);
  return (
    (event.effect === "jump" || event.effect === "goto") &&
    !builtIn &&
    /^KUBE-(SVC|SVL|SEP|EXT|FW|NODEPORTS)/.test(event.outcome ?? "")
  );
}

function deviceDraft({ event, rest }: Context): Draft | undefined {
  if (event.kind !== "device" || event.direction !== "tx") return undefined;
  // A cable's other end is the packet's next event; a bridge's own transmission goes on inside.
  const [arrival] = rest;
  if (arrival?.kind !== "device" || arrival.direction !== "rx") return undefined;
  return { ...common(event), step: "tx", effect: `=> ${arrival.ns} ${arrival.dev ?? ""}`.trim() };
}

/** A frame that a bridge sends out of the port it came in by: ports do so only when they are told to. */
export function isHairpin(event: PacketEvent): boolean {
  return (
    event.kind === "bridge" &&
    event.action === "forward" &&
    event.port !== undefined &&
    event.to.includes(event.port)
  );
}

function bridgeText(event: BridgeEvent): string {
  if (isHairpin(event)) return `out ${event.port ?? ""} = in ${event.port ?? ""}: hairpin_mode on`;
  const from = event.port === undefined ? "" : `in ${event.port}`;
  const to = event.to.length === 0 ? "" : `out ${event.to.join(" ")}`;
  return [from, to, event.why].filter((part) => part !== "").join("; ");
}

function conntrackDraft(event: ConntrackEvent, changes: readonly Change[]): Draft | undefined {
  // What NAT decided is told by its rule and its rewrite, what conntrack -E says by the step before.
  if (event.action === "nat" || event.action === "told") return undefined;
  const changed =
    event.action === "new" || event.action === "confirmed" || event.action === "destroyed";
  return {
    ...common(event),
    step: event.action === "confirmed" ? "conntrack confirm" : "conntrack",
    effect:
      event.action === "found"
        ? event.why
        : event.action === "confirmed"
          ? "entry is now real"
          : event.action === "new"
            ? "NEW"
            : `${event.action.toUpperCase()} ${event.why}`.trim(),
    mark: event.action === "invalid" ? "!" : changed ? "~" : "",
    changes,
    state: event.entry === undefined ? [] : [entryText(event)],
    decisive: event.action === "invalid",
  };
}

function entryText(event: ConntrackEvent): string {
  const { entry } = event;
  if (entry === undefined) return "";
  const side = ({
    source,
    destination,
    sourcePort,
    destinationPort,
  }: typeof entry.original): string =>
    typeof source === "number" && typeof destination === "number"
      ? `${formatIpv4(source)}:${sourcePort} > ${formatIpv4(destination)}:${destinationPort}`
      : "";
  return `ct ${entry.id} ${entry.state ?? ""} ${side(entry.original)} reply ${side(entry.reply)}`.replaceAll(
    / +/g,
    " ",
  );
}

function routeDraft(event: RouteEvent, { changes, recording }: Context): Draft {
  const error = event.result === "error";
  const [network = ""] = event.text.split(" ");
  const assumed = recording.assumedRoutes?.get(`${event.ns} ${network} dev ${event.out ?? ""}`);
  return {
    ...common(event),
    dev: undefined,
    step: "route",
    effect: error
      ? `${event.error ?? "no route"}: ${event.text}`
      : event.result === "local"
        ? "local: the address is this host's"
        : `${event.via === undefined ? network : `via ${event.via}`} dev ${event.out ?? ""}${assumed === undefined ? "" : ` (${assumed})`}`,
    mark: error ? "!" : "",
    changes,
    decisive: error || event.via !== undefined || assumed !== undefined,
  };
}

function dropDraft({ event, changes }: Context): Draft | undefined {
  if (event.kind !== "dropped") return undefined;
  // A rule or policy just before has told a NETFILTER_DROP already.
  return {
    ...common(event),
    step: `drop in ${event.where}`,
    effect: event.reason,
    mark: "!",
    changes,
    decisive: event.reason !== "NETFILTER_DROP",
  };
}

function unknownDraft({ event, changes }: Context): Draft | undefined {
  if (event.kind !== "unknown") return undefined;
  return {
    ...common(event),
    step: "not modelled",
    effect: event.what,
    place: event.place,
    mark: "?",
    changes,
    decisive: true,
  };
}

/** A change that no rule asked for just now. New MAC addresses alone decide nothing. */
function rewriteDraft(context: Context): Draft | undefined {
  const { event, changes } = context;
  if (event.kind !== "rewrite" || changesBetween(event.before, event.after).length === 0)
    return undefined;
  return {
    ...common(event),
    hook: event.hook,
    step: event.by === "nat" ? natStep(context) : event.by,
    effect: rewriteText(event.before, event.after),
    mark: "*",
    changes,
    decisive: changes.some(({ field }) => !field.startsWith("eth.")),
  };
}

/** `dst 10.96.44.10:80 => 10.244.2.5:8080`, for each side that changed. */
export function rewriteText(before: Frame, after: Frame): string {
  const parts: string[] = [];
  if (sourceOf(before) !== sourceOf(after))
    parts.push(`src ${sourceOf(before)} => ${sourceOf(after)}`);
  if (destinationOf(before) !== destinationOf(after))
    parts.push(`dst ${destinationOf(before)} => ${destinationOf(after)}`);
  if (parts.length > 0) return parts.join(", ");
  return changesBetween(before, after)
    .map(({ field, from, to }) => `${field} ${from} => ${to}`)
    .join(", ");
}

/** A translation that no rule asked for now: conntrack remembers it, for the answer or for a later packet. */
function natStep({ event, recording }: Context): string {
  const birth = recording.events.find(
    (other) => other.kind === "born" && other.packet === event.packet,
  );
  // What a connection sends later is caused by answers, and is none.
  const later = event.packet === recording.followed;
  return birth?.kind === "born" && birth.cause !== undefined && !later
    ? "conntrack reply"
    : "conntrack";
}

function ttlText(changes: readonly Change[]): string {
  const ttl = changes.find(({ field }) => field === "ip.ttl");
  return ttl === undefined ? "" : `; ttl ${ttl.from} => ${ttl.to}`;
}

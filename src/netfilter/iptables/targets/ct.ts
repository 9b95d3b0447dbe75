import { type ConntrackRef, UNTRACKED } from "../../../core/conntrack.js";
import type { NetworkNamespace } from "../../../core/namespace.js";
import type { SkBuff } from "../../../core/skbuff.js";
import { conntrackTemplate } from "../../conntrack/connection.js";
import { type Extensions, noExtensions } from "../../conntrack/extensions.js";
import { findHelper } from "../../conntrack/helpers/index.js";
import { hasTracker } from "../../conntrack/protocols.js";
import { GENERIC_PROTOCOL, timeoutPolicies } from "../../conntrack/timeout-policies.js";
import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import { parseNumber } from "../numbers.js";
import { flag, option } from "../options.js";
import { refuse } from "../refusal.js";
import { string } from "../values.js";
import { quoteText } from "../words.js";

interface Ct {
  readonly notrack: boolean;
  readonly helper: string | undefined;
  readonly timeout: string | undefined;
  readonly ctevents: readonly string[];
  readonly expevents: readonly string[];
  /** Whether the kernel keeps the events: see RuleEnvironment. */
  readonly keepsEvents: boolean;
  readonly zone: { readonly option: string; readonly id: number | "mark" } | undefined;
}

const CT_EVENTS = [
  "new",
  "related",
  "destroy",
  "reply",
  "assured",
  "protoinfo",
  "helper",
  "mark",
  "natseqinfo",
  "secmark",
] as const;

const EXPECT_EVENTS = ["new"] as const;

const NOTRACK = flag("notrack");
const HELPER = option("helper", string(0, 15));
const TIMEOUT = option("timeout", string(0, 31));
const CTEVENTS = option("ctevents", (text) => readEvents(text, CT_EVENTS));
const EXPEVENTS = option("expevents", (text) => readEvents(text, EXPECT_EVENTS));
const ZONES = ["zone", "zone-orig", "zone-reply"].map((name) => option(name, readZone));

/** `-j CT`: what conntrack is to do with the packet before it sees it. */
export const ct: TargetExtension = defineTarget<Ct, Memory>({
  name: "CT",
  mirrors: "net/netfilter/xt_CT.c:xt_ct_target_v1()",
  fidelity: "exact",
  examples: [
    "--notrack",
    "--zone 5",
    "--zone-orig mark",
    "--ctevents new,destroy",
    "-p tcp|--helper ftp",
  ],
  options: [NOTRACK, HELPER, TIMEOUT, CTEVENTS, EXPEVENTS, ...ZONES],
  only: { tables: ["raw"], hooks: ["PREROUTING", "OUTPUT"] },
  // Mirrors net/netfilter/xt_CT.c:xt_ct_tg_check(): a rule that only exempts needs no tracking.
  tracks: ({ notrack }) => !notrack,
  parse(args, { environment }) {
    const zone = ZONES.flatMap((spec) => {
      const id = args.value(spec);
      return id === undefined ? [] : [{ option: spec.names[0] ?? "", id }];
    })[0];
    return {
      notrack: args.has(NOTRACK),
      helper: args.value(HELPER),
      timeout: args.value(TIMEOUT),
      ctevents: args.value(CTEVENTS) ?? [],
      expevents: args.value(EXPEVENTS) ?? [],
      keepsEvents: environment.keepsEventMasks === true,
      zone,
    };
  },
  format({ notrack, helper, timeout, ctevents, expevents, zone }) {
    const words: string[] = [];
    if (notrack) words.push("--notrack");
    if (helper !== undefined) words.push(`--helper ${quoteText(helper)}`);
    if (timeout !== undefined) words.push(`--timeout ${timeout}`);
    if (ctevents.length > 0) words.push(`--ctevents ${ctevents.join(",")}`);
    if (expevents.length > 0) words.push(`--expevents ${expevents.join(",")}`);
    if (zone !== undefined) words.push(`--${zone.option} ${zone.id}`);
    return words.join(" ");
  },
  refuses({ notrack, helper, timeout }, { protocol, environment, family }) {
    if (notrack) return undefined;
    const number = protocol === undefined || protocol.invert ? undefined : protocol.number;
    if (isNamed(helper) && (number === undefined || findHelper(helper, number) === undefined))
      return "No such file or directory";
    if (!isNamed(timeout)) return undefined;
    if (number === undefined) return "Invalid argument";
    const policy = environment.timeoutPolicy?.(timeout);
    if (policy === undefined) return "No such file or directory";
    const tracked = hasTracker(number) ? number : GENERIC_PROTOCOL;
    return policy.family === family && policy.protocol === tracked ? undefined : "Invalid argument";
  },
  remember: () => ({ template: undefined }),
  apply(params, skb, state, memory) {
    // Seen before: a packet that came round by lo.
    if (skb.ct !== undefined) return CONTINUE;
    if (params.notrack) skb.ct = UNTRACKED;
    else {
      memory.template ??= templateFor(params, state.ns, skb);
      skb.ct = memory.template;
    }
    return CONTINUE;
  },
});

/** The template is made with the first packet, when it is certain that the kernel took the rule. */
interface Memory {
  template: ConntrackRef | undefined;
}

/** An empty name is as none. */
function isNamed(name: string | undefined): name is string {
  return name !== undefined && name !== "";
}

/** Mirrors xt_ct_tg_check(). The rule asks for one protocol, which is the packet's. */
function templateFor(params: Ct, ns: NetworkNamespace, skb: SkBuff): ConntrackRef {
  const { zone } = params;
  const directions = zone?.option === "zone-orig" ? 1 : zone?.option === "zone-reply" ? 2 : 3;
  const isMark = zone?.id === "mark";
  return conntrackTemplate(
    {
      id: zone === undefined || zone.id === "mark" ? 0 : zone.id,
      directions,
      ...(isMark ? { fromMark: true as const } : {}),
    },
    extensionsFor(params, ns, skb),
  );
}

function extensionsFor(params: Ct, ns: NetworkNamespace, skb: SkBuff): Extensions | undefined {
  const { network } = skb.frame;
  const protocol = network === undefined || network.kind === "arp" ? 0 : network.protocol;
  const helper = isNamed(params.helper) ? findHelper(params.helper, protocol) : undefined;
  const timeouts = isNamed(params.timeout)
    ? timeoutPolicies(ns).get(params.timeout)?.timeouts
    : undefined;
  const eventMasks =
    !params.keepsEvents || params.ctevents.length + params.expevents.length === 0
      ? undefined
      : {
          connection: maskOf(params.ctevents, CT_EVENTS),
          expectation: maskOf(params.expevents, EXPECT_EVENTS),
        };
  if (helper === undefined && timeouts === undefined && eventMasks === undefined) return undefined;
  const help = helper === undefined ? undefined : { helper, memory: undefined };
  return { ...noExtensions(), help, timeouts, eventMasks };
}

/** The bit of an event is its place in the list. */
function maskOf(chosen: readonly string[], known: readonly string[]): number {
  return chosen.reduce((mask, event) => mask | (1 << known.indexOf(event)), 0);
}

function readZone(text: string): number | "mark" {
  if (text === "mark") return "mark";
  const id = parseNumber(text, 0, 65_535);
  if (id === undefined) throw refuse(`Cannot parse ${text} as a zone ID`);
  return id;
}

function readEvents<T extends string>(text: string, known: readonly T[]): readonly T[] {
  const named = text.split(",").map((word) => {
    const event = known.find((one) => one === word);
    if (event === undefined) throw refuse(`Unknown event type "${word}"`);
    return event;
  });
  return known.filter((event) => named.includes(event));
}

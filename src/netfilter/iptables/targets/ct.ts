import { UNTRACKED } from "../../../core/conntrack.js";
import { conntrackTemplate } from "../../conntrack/connection.js";
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

/** The helpers of the kernel and the protocols they speak. */
const HELPERS: Readonly<Record<string, readonly number[]>> = {
  amanda: [17],
  ftp: [6],
  "H.245": [6],
  irc: [6],
  "netbios-ns": [17],
  pptp: [6],
  "Q.931": [6],
  RAS: [17],
  sane: [6],
  sip: [6, 17, 33],
  snmp: [17],
  tftp: [17],
};

const NOTRACK = flag("notrack");
const HELPER = option("helper", string(0, 15));
const TIMEOUT = option("timeout", string(0, 31));
const CTEVENTS = option("ctevents", (text) => readEvents(text, CT_EVENTS));
const EXPEVENTS = option("expevents", (text) => readEvents(text, ["new"]));
const ZONES = ["zone", "zone-orig", "zone-reply"].map((name) => option(name, readZone));

/** `-j CT`: what conntrack is to do with the packet before it sees it. */
export const ct: TargetExtension = defineTarget<
  Ct,
  { readonly template: ReturnType<typeof conntrackTemplate> | undefined }
>({
  name: "CT",
  mirrors: "net/netfilter/xt_CT.c:xt_ct_target_v1()",
  fidelity: "simplified",
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
  parse(args) {
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
  refuses({ notrack, helper, timeout }, { protocol, environment }) {
    if (notrack) return undefined;
    const number = protocol === undefined || protocol.invert ? undefined : protocol.number;
    if (
      helper !== undefined &&
      (number === undefined || HELPERS[helper]?.includes(number) !== true)
    )
      return "No such file or directory";
    if (timeout === undefined) return undefined;
    const wanted = environment.timeoutPolicy?.(timeout);
    if (wanted === undefined) return "No such file or directory";
    return wanted === number ? undefined : "Invalid argument";
  },
  remember({ zone }) {
    if (zone === undefined || zone.id === "mark") return { template: undefined };
    const directions = zone.option === "zone-orig" ? 1 : zone.option === "zone-reply" ? 2 : 3;
    return { template: conntrackTemplate({ id: zone.id, directions }) };
  },
  apply({ notrack, zone, helper, timeout }, skb, _, { template }) {
    if (skb.ct !== undefined) return CONTINUE;
    if (notrack) skb.ct = UNTRACKED;
    else if (helper !== undefined || timeout !== undefined || zone?.id === "mark")
      return { kind: "unknown" };
    else if (template !== undefined) skb.ct = template;
    return CONTINUE;
  },
});

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

import type { Recording } from "../core/recording.js";
import { decodeDns, rcodeNumber } from "../wire/dns.js";
import type { Frame } from "../wire/frame.js";
import { TCP_ACK, TCP_FIN, TCP_PSH, TCP_RST, TCP_SYN, TCP_URG } from "../wire/tcp.js";
import { fieldBytesOf, PACKET_FIELDS } from "./bytes.js";
import type { Step } from "./steps.js";

/** What a filter looks at: a step, and the packet as the step found it; or a captured packet and the step that decided. */
export interface FilterRow {
  readonly step: Step;
  readonly before: Frame;
  /** The packet that names without `before.` and `after.` are about; the step's own unless given. */
  readonly packet?: Frame | undefined;
  /** Its bytes, where they are at hand. */
  readonly bytes?: Uint8Array | undefined;
  /** The outcome of the whole packet, where a row stands for one. */
  readonly outcome?: string | undefined;
  /** Undefined for a packet that did not go through the world. */
  readonly recording: Recording | undefined;
}

/** The packet that a row is about. */
export function packetOf({ packet, step }: FilterRow): Frame {
  return packet ?? step.frame;
}

/** How values of a field are compared and written. */
export type FieldType = "number" | "text" | "address";

export interface FilterField {
  readonly name: string;
  readonly type: FieldType;
  /** What it is, in a clause; empty for fields of packet headers, which have Wireshark's names. */
  readonly about: string;
  values(row: FilterRow): readonly string[];
}

export const EFFECTS = [
  "accept",
  "drop",
  "reject",
  "dnat",
  "snat",
  "masquerade",
  "mark",
  "jump",
  "return",
  "nomatch",
  "route",
  "learn",
  "deliver",
] as const;

export type Effect = (typeof EFFECTS)[number];

/** What a step did, as one of a closed list of words; undefined for what none of them fits. */
export function effectOf({ event, state }: Step): Effect | undefined {
  switch (event.kind) {
    case "rule":
      if (!event.matched) return "nomatch";
      if (state.some((line) => line.startsWith("mark "))) return "mark";
      return ruleEffect(event.outcome ?? "", event.effect);
    case "policy":
      return event.policy === "DROP" ? "drop" : "accept";
    case "route":
      return "route";
    case "bridge":
      return event.action === "learn" ? "learn" : undefined;
    case "delivered":
      return "deliver";
    case "dropped":
      return "drop";
    default:
      return undefined;
  }
}

function ruleEffect(outcome: string, effect: string): Effect | undefined {
  if (/^(DNAT|REDIRECT)/.test(outcome)) return "dnat";
  if (outcome.startsWith("SNAT")) return "snat";
  if (outcome.startsWith("MASQUERADE")) return "masquerade";
  if (outcome.startsWith("REJECT")) return "reject";
  if (effect === "goto") return "jump";
  if (effect === "jump" || effect === "return" || effect === "accept" || effect === "drop")
    return effect;
  return undefined;
}

/** The text of a step's row: what a bare word in quotes looks through. */
export function rowText({ ns, dev, hook, step, effect, text }: Step): string {
  return [ns, dev, hook, step, effect, text].filter((part) => part !== undefined).join(" ");
}

function one(value: string | number | undefined): readonly string[] {
  return value === undefined ? [] : [String(value)];
}

const STEP_FIELDS: readonly FilterField[] = [
  { name: "step", type: "number", about: "number of the step", values: ({ step }) => one(step.n) },
  {
    name: "pkt",
    type: "number",
    about: "packet's number within the run; the capture's own in a replay",
    values: ({ step }) => one(step.packet),
  },
  {
    name: "effect",
    type: "text",
    about: "what the step did",
    values: ({ step }) => one(effectOf(step)),
  },
  {
    name: "node",
    type: "text",
    about: "where it happened: node, pod or host outside",
    values: ({ step }) => one(step.ns),
  },
  { name: "netns", type: "text", about: "the same", values: ({ step }) => one(step.ns) },
  {
    name: "pod",
    type: "text",
    about: "the same, where it is a pod",
    values: ({ step }) => one(step.ns.includes("/") ? step.ns : undefined),
  },
  {
    name: "svc",
    type: "text",
    about: "Service, pod or node that the destination is called",
    values: ({ step, before, recording }) => [
      ...new Set([before, step.frame].flatMap((frame) => serviceOf(frame, recording))),
    ],
  },
  { name: "dev", type: "text", about: "network device", values: ({ step }) => one(step.dev) },
  {
    name: "hook",
    type: "text",
    about: "netfilter hook, in small letters",
    values: ({ step }) => one(step.hook?.toLowerCase()),
  },
  { name: "table", type: "text", about: "rule's table", values: ({ step }) => one(step.table) },
  { name: "chain", type: "text", about: "rule's chain", values: ({ step }) => one(step.chain) },
  {
    name: "rule",
    type: "number",
    about: "its number in the chain",
    values: ({ step }) => one(step.rule),
  },
  {
    name: "rule.text",
    type: "text",
    about: "the rule as it is saved",
    values: ({ step }) => one(step.text),
  },
  {
    name: "verdict",
    type: "text",
    about: "how it ended: delivered, dropped, denied, rejected, unknown",
    values: ({ step, outcome }) => one(outcome ?? verdictWord(step)),
  },
  {
    name: "mark",
    type: "number",
    about: "mark of the packet (fwmark)",
    values: ({ step }) => one(step.event.mark),
  },
  {
    name: "ct.state",
    type: "text",
    about: "state of the connection: NEW, ESTABLISHED, SYN_SENT",
    values: ({ step }) => conntrackValues(step, "state"),
  },
  {
    name: "ct.id",
    type: "number",
    about: "number of conntrack's entry",
    values: ({ step }) => conntrackValues(step, "id"),
  },
  {
    name: "policy",
    type: "text",
    about: "NetworkPolicy that the rule was made for",
    values: ({ step, recording }) => policiesOf(step, recording),
  },
  {
    name: "file",
    type: "text",
    about: "the rule's file",
    values: ({ step }) => one(step.place?.file),
  },
  {
    name: "changed.field",
    type: "text",
    about: "each field that the step changed",
    values: ({ step }) => step.changes.map(({ field }) => field),
  },
];

const NUMBERS =
  /(port|len|length|ttl|proto|seq|ack|window|type|code|opcode|rcode|checksum|flags|tos|id|frag|rest)$/;
const FLAGS: Readonly<Record<string, number>> = {
  fin: TCP_FIN,
  syn: TCP_SYN,
  reset: TCP_RST,
  push: TCP_PSH,
  ack: TCP_ACK,
  urg: TCP_URG,
};

/** Fields of Wireshark that occur more than once in a packet. */
const BOTH: Readonly<Record<string, readonly string[]>> = {
  "eth.addr": ["eth.dst", "eth.src"],
  "ip.addr": ["ip.src", "ip.dst"],
  "ipv6.addr": ["ipv6.src", "ipv6.dst"],
  "tcp.port": ["tcp.srcport", "tcp.dstport"],
  "udp.port": ["udp.srcport", "udp.dstport"],
};

const PACKET_NAMES: readonly string[] = [
  ...PACKET_FIELDS,
  ...Object.keys(BOTH),
  ...Object.keys(FLAGS).map((flag) => `tcp.flags.${flag}`),
  "dns.qry.name",
  "dns.flags.rcode",
];

const ABOUT: Readonly<Record<string, string>> = {
  "eth.addr": "either MAC address",
  "ip.addr": "either IPv4 address",
  "ipv6.addr": "either IPv6 address",
  "tcp.port": "either port",
  "udp.port": "either port",
  "dns.qry.name": "name that is asked for",
  "dns.flags.rcode": "result, as its number: 3 is NXDOMAIN",
};

function packetField(name: string, shown: string, frameOf: (row: FilterRow) => Frame): FilterField {
  return {
    name: shown,
    type: typeOf(name),
    about: ABOUT[name] ?? "",
    values: (row) => packetValues(frameOf(row), name),
  };
}

function typeOf(name: string): FieldType {
  if (/^(ip(v6)?\.(src|dst|addr)|arp\..*ipv4)$/.test(name)) return "address";
  return NUMBERS.test(name) || name.startsWith("tcp.flags.") ? "number" : "text";
}

function packetValues(frame: Frame, name: string): readonly string[] {
  const flag = /^tcp\.flags\.(\w+)$/.exec(name)?.[1];
  if (flag !== undefined) {
    return frame.transport?.kind === "tcp"
      ? [(frame.transport.flags & (FLAGS[flag] ?? 0)) === 0 ? "0" : "1"]
      : [];
  }
  if (name.startsWith("dns.")) return dnsValues(frame, name);
  const names = BOTH[name] ?? [name];
  return fieldBytesOf(frame).flatMap((field) => (names.includes(field.name) ? [field.value] : []));
}

function dnsValues({ transport, payload }: Frame, name: string): readonly string[] {
  if (
    transport?.kind !== "udp" ||
    (transport.sourcePort !== 53 && transport.destinationPort !== 53)
  )
    return [];
  const message = decodeDns(payload);
  if (!message.ok) return [];
  return name === "dns.flags.rcode"
    ? [String(rcodeNumber(message.value.rcode))]
    : message.value.questions.map((question) => question.name);
}

/** Every field of the language, by its name. */
export const FILTER_FIELDS: ReadonlyMap<string, FilterField> = new Map(
  [
    ...STEP_FIELDS,
    ...PACKET_NAMES.map((name) => packetField(name, name, packetOf)),
    ...PACKET_NAMES.map((name) => packetField(name, `after.${name}`, ({ step }) => step.frame)),
    ...PACKET_NAMES.map((name) => packetField(name, `before.${name}`, ({ before }) => before)),
  ].map((field) => [field.name, field]),
);

function serviceOf(frame: Frame, recording: Recording | undefined): readonly string[] {
  const address = packetValues(frame, "ip.dst")[0] ?? "";
  const name = recording?.names.get(address);
  return name === undefined ? [] : [name];
}

/** `shop/db-from-api`: what the rule's maker says it was made for. */
function policiesOf({ place }: Step, recording: Recording | undefined): readonly string[] {
  if (place === undefined) return [];
  const origin = recording?.makers.get(place.file)?.origins.get(place.line) ?? "";
  return origin.split(", ").flatMap((made) => /^\w*NetworkPolicy (.+)$/.exec(made)?.[1] ?? []);
}

function verdictWord(step: Step): string | undefined {
  if (step.effect === "DENIED") return "denied";
  switch (effectOf(step)) {
    case "deliver":
      return "delivered";
    case "drop":
      return "dropped";
    case "reject":
      return "rejected";
    default:
      return step.mark === "?" ? "unknown" : undefined;
  }
}

function conntrackValues({ event }: Step, what: "state" | "id"): readonly string[] {
  if (event.kind !== "conntrack") return [];
  if (what === "id") return one(event.entry?.id);
  const words = [
    event.action === "new" ? "NEW" : event.action === "found" ? event.why.split(",")[0] : undefined,
    event.entry?.state,
  ];
  return words.flatMap((word) => (word === undefined ? [] : [word]));
}

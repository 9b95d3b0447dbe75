import {
  type ConntrackEntry,
  IPS_ASSURED,
  IPS_CONFIRMED,
  IPS_DST_NAT,
  IPS_EXPECTED,
  IPS_SEEN_REPLY,
  IPS_SRC_NAT,
  isOriginalDirection,
} from "../../../core/conntrack.js";
import type { HookState } from "../../../core/hooks.js";
import type { SkBuff } from "../../../core/skbuff.js";
import { formatMask, type MaskedAddress, underMask } from "../addresses.js";
import { readStates } from "../ct-states.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import {
  type Given,
  option,
  type OptionArgs,
  type OptionSpec,
  type OptionUse,
} from "../options.js";
import { ctStateOf } from "../packet.js";
import { refuse } from "../refusal.js";
import {
  formatHostMask,
  formatRange,
  hostMask,
  inRange,
  loosePortRange,
  not,
  protocol,
  type Range,
  unsignedRange,
} from "../values.js";

const STATES = ["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT"] as const;
type State = (typeof STATES)[number];
/** As masks, to compare without a list for each packet. */
const STATE_BITS: Readonly<Record<State, number>> = {
  INVALID: 1,
  NEW: 2,
  RELATED: 4,
  ESTABLISHED: 8,
  UNTRACKED: 16,
  SNAT: 32,
  DNAT: 64,
};
const STATUSES = ["NONE", "EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED"] as const;
const STATUS_BITS: Readonly<Record<(typeof STATUSES)[number], number>> = {
  NONE: 0,
  EXPECTED: IPS_EXPECTED,
  SEEN_REPLY: IPS_SEEN_REPLY,
  ASSURED: IPS_ASSURED,
  CONFIRMED: IPS_CONFIRMED,
};

const STATE = option("ctstate", (text) => readStates(text, STATES, "ctstate"), { not: true });
const PROTO = option("ctproto", protocol, { not: true });
const STATUS = option("ctstatus", (text) => readStates(text, STATUSES, "ctstatus"), { not: true });
const EXPIRE = option("ctexpire", unsignedRange(0xffff_ffff), { not: true });
const DIR = option("ctdir", readDirection);

interface Side {
  readonly tuple: "original" | "reply";
  readonly end: "source" | "destination";
}

const ADDRESSES: readonly (readonly [OptionSpec<MaskedAddress>, Side])[] = [
  [option("ctorigsrc", hostMask, { not: true }), { tuple: "original", end: "source" }],
  [option("ctorigdst", hostMask, { not: true }), { tuple: "original", end: "destination" }],
  [option("ctreplsrc", hostMask, { not: true }), { tuple: "reply", end: "source" }],
  [option("ctrepldst", hostMask, { not: true }), { tuple: "reply", end: "destination" }],
];
const PORTS: readonly (readonly [OptionSpec<Range>, Side])[] = [
  [option("ctorigsrcport", loosePortRange, { not: true }), { tuple: "original", end: "source" }],
  [
    option("ctorigdstport", loosePortRange, { not: true }),
    { tuple: "original", end: "destination" },
  ],
  [option("ctreplsrcport", loosePortRange, { not: true }), { tuple: "reply", end: "source" }],
  [option("ctrepldstport", loosePortRange, { not: true }), { tuple: "reply", end: "destination" }],
];

/** One test of the connection, apart from the state. */
interface EntryTest {
  readonly text: string;
  readonly invert: boolean;
  readonly holds: (entry: ConntrackEntry, skb: SkBuff, state: HookState) => boolean;
}

/** `--ctstate`: any of these. */
interface States {
  readonly value: readonly State[];
  /** The same as a mask. */
  readonly bits: number;
  readonly invert: boolean;
}

interface Conntrack {
  readonly states: States | undefined;
  readonly tests: readonly EntryTest[];
}

/** `-m conntrack`: state, addresses, ports, status, direction and age of the connection. */
export const conntrack: MatchExtension = defineMatch<Conntrack>({
  name: "conntrack",
  mirrors: "net/netfilter/xt_conntrack.c:conntrack_mt()",
  fidelity: "exact",
  examples: [
    "--ctstate RELATED,ESTABLISHED",
    "! --ctstate INVALID --ctproto 6 --ctorigsrc 10.0.0.0/8 --ctorigdstport 80:90 --ctstatus ASSURED --ctexpire 1:60 --ctdir ORIGINAL",
    "--ctstate DNAT",
  ],
  options: [
    STATE,
    PROTO,
    ...ADDRESSES.map(([spec]) => spec),
    ...PORTS.map(([spec]) => spec),
    STATUS,
    EXPIRE,
    DIR,
  ],
  tracks: true,
  check(args) {
    if (args.all.length === 0) throw refuse("conntrack: At least one option is required");
  },
  parse(args) {
    const states = args.get(STATE);
    return {
      states: states === undefined ? undefined : statesTest(states.value, states.invert),
      tests: testsOf(args),
    };
  },
  format({ states, tests }) {
    const state =
      states === undefined ? [] : [`${not(states.invert)}--ctstate ${states.value.join(",")}`];
    return [...state, ...tests.map(({ text, invert }) => `${not(invert)}${text}`)].join(" ");
  },
  isPure: true,
  matches({ states, tests }, skb, state) {
    if (states !== undefined && !fitsState(states, skb)) return false;
    if (tests.length === 0) return true;
    const entry = skb.ct?.entry;
    return (
      entry !== undefined && tests.every((test) => test.holds(entry, skb, state) !== test.invert)
    );
  },
  why({ states, tests }, skb, state) {
    if (states !== undefined && !fitsState(states, skb)) {
      return `packet is ${statesOf(skb).join(",")}`;
    }
    const entry = skb.ct?.entry;
    if (entry === undefined) return "packet has no connection";
    const failed = tests.find((test) => test.holds(entry, skb, state) === test.invert);
    return failed === undefined
      ? ""
      : `the connection does not fit ${not(failed.invert)}${failed.text}`;
  },
});

function statesTest(value: readonly State[], invert: boolean): States {
  return { value, bits: value.reduce((bits, state) => bits | STATE_BITS[state], 0), invert };
}

function fitsState({ bits, invert }: States, { ct }: SkBuff): boolean {
  const status = ct?.entry?.status ?? 0;
  let has = STATE_BITS[ctStateOf(ct)];
  if ((status & IPS_SRC_NAT) !== 0) has |= STATE_BITS.SNAT;
  if ((status & IPS_DST_NAT) !== 0) has |= STATE_BITS.DNAT;
  return ((has & bits) !== 0) !== invert;
}

/** The state, and SNAT or DNAT when the connection is changed so. */
function statesOf({ ct }: SkBuff): readonly State[] {
  const states: State[] = [ctStateOf(ct)];
  const status = ct?.entry?.status ?? 0;
  if ((status & IPS_SRC_NAT) !== 0) states.push("SNAT");
  if ((status & IPS_DST_NAT) !== 0) states.push("DNAT");
  return states;
}

const NO_TESTS: readonly EntryTest[] = [];

function testsOf(args: OptionArgs): readonly EntryTest[] {
  if (args.all.every(({ spec }) => spec === STATE)) return NO_TESTS;
  const tests: EntryTest[] = [];
  const add = <T>(
    spec: OptionSpec<T>,
    text: (value: T) => string,
    holds: (value: T) => EntryTest["holds"],
  ): void => {
    const given: Given<T> | undefined = args.get(spec);
    if (given === undefined) return;
    tests.push({
      text: `--${spec.names[0]} ${text(given.value)}`,
      invert: given.invert,
      holds: holds(given.value),
    });
  };
  add(PROTO, String, (value) => (entry) => entry.original.protocol === value);
  for (const [spec, { tuple, end }] of ADDRESSES) {
    add(
      spec,
      (value) => formatHostMask(value, formatMask),
      (value) => (entry) => underMask(entry[tuple][end], value),
    );
  }
  for (const [spec, { tuple, end }] of PORTS) {
    const port = end === "source" ? "sourcePort" : "destinationPort";
    add(spec, formatRange, (value) => (entry) => inRange(entry[tuple][port], value));
  }
  add(
    STATUS,
    (value) => value.join(","),
    (value) => (entry) =>
      (entry.status & value.reduce((bits, name) => bits | STATUS_BITS[name], 0)) !== 0,
  );
  add(
    EXPIRE,
    formatRange,
    (value) => (entry, _, state) =>
      inRange(Math.floor((entry.expires - state.ns.sim.queue.now) / 1_000_000), value),
  );
  add(
    DIR,
    String,
    (value) => (_, skb) =>
      (value === "ORIGINAL") === (skb.ct !== undefined && isOriginalDirection(skb.ct.info)),
  );
  return tests;
}

function readDirection(text: string, { owner, option: name }: OptionUse): "ORIGINAL" | "REPLY" {
  const upper = text.toUpperCase();
  if (upper !== "ORIGINAL" && upper !== "REPLY")
    throw refuse(`${owner}: Bad value for "--${name}" option: "${text}"`);
  return upper;
}

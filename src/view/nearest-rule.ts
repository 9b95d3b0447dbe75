import type { PolicyEvent, RuleEvent } from "../core/trace.js";
import type { Frame } from "../wire/frame.js";
import {
  formatIp,
  type IpAddress,
  ipPrefixContains,
  parseIpv4Prefix,
  parseIpv6Prefix,
} from "../wire/ip.js";
import type { PacketEvent } from "./follow.js";

/** The rule that came closest to letting a packet pass, and what of the packet did not fit. */
export interface NearestRule {
  readonly event: RuleEvent;
  /** Never empty: `packet has dport 443`. */
  readonly failed: readonly string[];
}

/**
 * Of the rules that a packet was shown before a policy dropped it, the one that would have accepted it with the fewest
 * tests failing; among equals the one with most tests passed. Undefined when no rule accepts anything.
 */
export function nearestRule(
  policy: PolicyEvent,
  events: readonly PacketEvent[],
): NearestRule | undefined {
  let best: Candidate | undefined;
  for (const event of events) {
    if (event.kind !== "rule" || event.matched || !isSameWalk(event, policy)) continue;
    const candidate = candidateOf(event);
    if (candidate !== undefined && (best === undefined || isNearer(candidate, best)))
      best = candidate;
  }
  return best;
}

function isSameWalk(rule: RuleEvent, policy: PolicyEvent): boolean {
  return (
    rule.packet === policy.packet &&
    rule.ns === policy.ns &&
    rule.hook === policy.hook &&
    rule.table === policy.table &&
    rule.engine === policy.engine
  );
}

interface Candidate extends NearestRule {
  readonly passed: number;
  /** It is about packets of a connection, which a first packet can never be. */
  readonly byState: boolean;
  readonly accepts: boolean;
}

function isNearer(one: Candidate, other: Candidate): boolean {
  if (one.failed.length !== other.failed.length) return one.failed.length < other.failed.length;
  if (one.byState !== other.byState) return other.byState;
  if (one.accepts !== other.accepts) return one.accepts;
  return one.passed > other.passed;
}

/** Targets that end nothing, or end it badly: their rules would not have helped. */
const NO_HELP =
  /^(DROP|REJECT|RETURN|QUEUE|NFQUEUE|LOG|NFLOG|ULOG|TRACE|MARK|CONNMARK|CT|NOTRACK|TEE|SET|AUDIT|CLASSIFY|DSCP|TOS|TTL|HL|TCPMSS|CHECKSUM)$/;

function candidateOf(event: RuleEvent): Candidate | undefined {
  const words = wordsOf(event.text);
  const target = words[Math.max(words.lastIndexOf("-j"), words.lastIndexOf("-g")) + 1];
  if (!words.includes("-j") && !words.includes("-g")) return undefined;
  if (target === undefined || NO_HELP.test(target)) return undefined;
  const tests = testsOf(words, event);
  const failed = tests.filter(({ holds }) => !holds).map(({ packet }) => packet);
  // A match that the text does not tell enough about has its word in the event.
  const told = event.failed ?? "";
  if (told !== "" && !failed.includes(told)) failed.push(told);
  if (failed.length === 0) failed.push("its conditions");
  return {
    event,
    failed,
    passed: tests.length - failed.length,
    byState: tests.some(({ state, holds }) => state && !holds),
    accepts: target === "ACCEPT",
  };
}

/** The words of a saved rule; what stands in double quotes is one word. */
function wordsOf(text: string): readonly string[] {
  return [...text.matchAll(/"((?:[^"\\]|\\.)*)"|\S+/g)].map(([word, quoted]) => quoted ?? word);
}

interface Test {
  readonly holds: boolean;
  /** What the packet has there, in the words of the chain walker. */
  readonly packet: string;
  readonly state: boolean;
}

/** The tests whose outcome follows from the packet alone. */
function testsOf(words: readonly string[], event: RuleEvent): readonly Test[] {
  const tests: Test[] = [];
  words.forEach((word, index) => {
    const value = words[index + 1];
    if (value === undefined) return;
    const test = testOf(word, value, event);
    if (test === undefined) return;
    const inverted = words[index - 1] === "!";
    tests.push({ ...test, holds: test.holds !== inverted });
  });
  return tests;
}

function testOf(option: string, value: string, event: RuleEvent): Test | undefined {
  const { network, transport } = event.frame;
  if (network?.kind !== "ipv4" && network?.kind !== "ipv6") return undefined;
  const test = (holds: boolean, packet: string): Test => ({ holds, packet, state: false });
  switch (option) {
    case "-s":
      return test(holds(value, network.source), `packet comes from ${formatIp(network.source)}`);
    case "-d":
      return test(
        holds(value, network.destination),
        `packet goes to ${formatIp(network.destination)}`,
      );
    case "-i":
      return test(
        isDevice(value, event.in),
        event.in === undefined
          ? "packet has no input device here"
          : `packet came in by ${event.in}`,
      );
    case "-o":
      return test(
        isDevice(value, event.out),
        event.out === undefined
          ? "packet has no output device here"
          : `packet goes out by ${event.out}`,
      );
    case "-p": {
      const name = transport?.kind === "icmpv6" ? "ipv6-icmp" : transport?.kind;
      return test(value === name, `packet is ${name ?? network.protocol}`);
    }
    case "--ctstate":
    case "--state":
      return stateTest(value, event);
    default:
      return portTest(option, value, event.frame);
  }
}

function holds(network: string, address: IpAddress): boolean {
  const parse = typeof address === "number" ? parseIpv4Prefix : parseIpv6Prefix;
  const prefix = parse(network);
  return prefix !== undefined && ipPrefixContains(prefix, address);
}

function isDevice(pattern: string, name: string | undefined): boolean {
  if (name === undefined) return false;
  return pattern.endsWith("+") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

/** The state is in the walker's own word, when this was the test that failed. */
function stateTest(value: string, { failed }: RuleEvent): Test | undefined {
  const [, states = ""] = /^packet is ([A-Z,]+)$/.exec(failed ?? "") ?? [];
  if (states === "") return undefined;
  const holdsState = states.split(",").some((state) => value.split(",").includes(state));
  return { holds: holdsState, packet: failed ?? "", state: true };
}

function portTest(option: string, value: string, { transport }: Frame): Test | undefined {
  const side = /^--(dports?|destination-ports?)$/.test(option)
    ? "dport"
    : /^--(sports?|source-ports?)$/.test(option)
      ? "sport"
      : undefined;
  if (side === undefined || (transport?.kind !== "tcp" && transport?.kind !== "udp"))
    return undefined;
  const port = side === "dport" ? transport.destinationPort : transport.sourcePort;
  const fits = value.split(",").some((range) => {
    const [low = "", high = low] = range.split(":");
    return port >= Number(low || 0) && port <= Number(high === "" ? 65_535 : high);
  });
  return { holds: fits, packet: `packet has ${side} ${port}`, state: false };
}

import type { HookState } from "../../core/hooks.js";
import type { Frame } from "../../wire/frame.js";
import type { Ipv4Header } from "../../wire/ipv4.js";
import type { Ipv6Header } from "../../wire/ipv6.js";
import { isExtensionHeader, upperHeaderOf } from "../ipv6-headers.js";
import { underMask } from "./addresses.js";
import type { CompiledChain } from "./compiled-chain.js";
import type { Match, MatchResult, ProtocolTest } from "./extension.js";
import type { Action, AddressTest, InterfaceTest, Rule, RuleSpec } from "./rule.js";
import type { Variant } from "./tables.js";

/** The tests of a rule that are turned round, and what it asks of fragments: bits of `flags`. */
const NOT_SOURCE = 1;
const NOT_DESTINATION = 2;
const NOT_PROTOCOL = 4;
const LATER_FRAGMENT = 8;
const NO_LATER_FRAGMENT = 16;

/**
 * A rule as the walker tests it: what it asks of an IPv4 header stands side by side in small numbers, and matches that
 * always say yes are left out. A packet meets many rules that no other met for long, so each object on the way counts, and
 * each field: a big ruleset has hundreds of thousands of these.
 */
export class CompiledRule {
  readonly rule: Rule;
  /** Addresses and masks as signed 32-bit numbers. */
  readonly sourceMask: number;
  readonly source: number;
  readonly destinationMask: number;
  readonly destination: number;
  /** -1 for any. */
  readonly protocol: number;
  readonly flags: number;
  /** undefined for rules that do not look at devices. */
  readonly devices: DeviceTests | undefined;
  /** Hardly any rule has more than a comment and one test: that stands here. */
  readonly test: Match | undefined;
  /** The tests behind the first. */
  readonly moreTests: readonly Match[];
  readonly action: Action;
  /** Where it jumps, once that was looked up. */
  target: CompiledChain | undefined;

  constructor(rule: Rule) {
    const { source, destination, protocol, in: from, out, matches, action } = rule.spec;
    this.rule = rule;
    this.sourceMask = maskOf(source);
    this.source = bitsOf(source);
    this.destinationMask = maskOf(destination);
    this.destination = bitsOf(destination);
    this.protocol = protocol?.number ?? -1;
    this.flags = flagsOf(rule.spec);
    this.devices = from === undefined && out === undefined ? undefined : { in: from, out };
    const first = matches.findIndex(isTest);
    const hasMore = first < matches.findLastIndex(isTest);
    this.test = matches[first];
    this.moreTests = hasMore ? matches.slice(first + 1).filter(isTest) : NO_TESTS;
    this.action = action;
    this.target = undefined;
  }

  /** Whether the packet passes the rule's own tests. Mirrors ip_packet_match(). */
  fits(header: Ipv4Header, state: HookState): boolean {
    const { flags, protocol } = this;
    const isFrom = (header.source & this.sourceMask) === this.source;
    if (isFrom === ((flags & NOT_SOURCE) !== 0)) return false;
    const isTo = (header.destination & this.destinationMask) === this.destination;
    if (isTo === ((flags & NOT_DESTINATION) !== 0)) return false;
    if (this.devices !== undefined && !fitsDevices(this.devices, state)) return false;
    if (protocol >= 0 && (header.protocol === protocol) === ((flags & NOT_PROTOCOL) !== 0))
      return false;
    return (flags & (header.fragmentOffset > 0 ? NO_LATER_FRAGMENT : LATER_FRAGMENT)) === 0;
  }

  /** The same for IPv6. Mirrors net/ipv6/netfilter/ip6_tables.c:ip6_packet_match(). */
  fits6(frame: Frame, header: Ipv6Header, state: HookState, variant: Variant): MatchResult {
    const { source, destination, protocol } = this.rule.spec;
    if (source !== undefined && underMask(header.source, source) === source.invert) return false;
    if (
      destination !== undefined &&
      underMask(header.destination, destination) === destination.invert
    )
      return false;
    if (this.devices !== undefined && !fitsDevices(this.devices, state)) return false;
    return protocol === undefined || fitsProtocol6(protocol, frame, header, variant);
  }
}

/**
 * What `-p` says of an IPv6 packet: it asks for what comes after the extension headers. Where those cannot be followed,
 * ip6_tables drops the packet and nf_tables goes to the next rule.
 */
export function fitsProtocol6(
  test: ProtocolTest,
  frame: Frame,
  header: Ipv6Header,
  variant: Variant,
): MatchResult {
  const { extensions, protocol } = header;
  if (extensions.length === 0 && !isExtensionHeader(protocol))
    return (protocol === test.number) !== test.invert;
  const upper = upperHeaderOf(frame, header, variant === "nft");
  if (upper === undefined) return variant === "nft" ? false : "hotdrop";
  return (upper.protocol === test.number) !== test.invert;
}

/** What a rule asks of devices. */
interface DeviceTests {
  readonly in: InterfaceTest | undefined;
  readonly out: InterfaceTest | undefined;
}

function fitsDevices({ in: from, out }: DeviceTests, state: HookState): boolean {
  if (from !== undefined && !fitsInterface(from, state.in?.name)) return false;
  return out === undefined || fitsInterface(out, state.out?.name);
}

/** A hook without a device on that side has the empty name there. */
export function fitsInterface(test: InterfaceTest, name = ""): boolean {
  return (test.prefix ? name.startsWith(test.name) : name === test.name) !== test.invert;
}

const NO_TESTS: readonly Match[] = [];

function isTest({ extension }: Match): boolean {
  return extension.name !== "comment";
}

function flagsOf({ source, destination, protocol, fragment }: RuleSpec): number {
  let flags = 0;
  if (source?.invert === true) flags |= NOT_SOURCE;
  if (destination?.invert === true) flags |= NOT_DESTINATION;
  if (protocol?.invert === true) flags |= NOT_PROTOCOL;
  if (fragment !== undefined) flags |= fragment.invert ? NO_LATER_FRAGMENT : LATER_FRAGMENT;
  return flags;
}

function maskOf(test: AddressTest | undefined): number {
  return typeof test?.mask === "number" ? test.mask | 0 : 0;
}

/** No address of IPv4 lies under one of IPv6: under an empty mask, nothing is 1. */
function bitsOf(test: AddressTest | undefined): number {
  if (test === undefined) return 0;
  return typeof test.address === "number" ? test.address | 0 : 1;
}

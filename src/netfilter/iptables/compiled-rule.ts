import type { HookState } from "../../core/hooks.js";
import type { Frame } from "../../wire/frame.js";
import type { Ipv4Header } from "../../wire/ipv4.js";
import type { Ipv6Header } from "../../wire/ipv6.js";
import { isExtensionHeader, upperHeaderOf } from "../ipv6-headers.js";
import { underMask } from "./addresses.js";
import type { CompiledChain } from "./compiled-chain.js";
import type { Match, MatchResult, ProtocolTest } from "./extension.js";
import type { Action, AddressTest, InterfaceTest, Rule } from "./rule.js";
import type { Variant } from "./tables.js";

/**
 * A rule as the walker tests it: what it asks of an IPv4 header stands side by side in small numbers, and matches that
 * always say yes are left out. A packet meets many rules that no other met for long, so each object on the way counts.
 */
export class CompiledRule {
  readonly rule: Rule;
  /** Addresses and masks as signed 32-bit numbers. */
  readonly sourceMask: number;
  readonly source: number;
  readonly sourceInvert: boolean;
  readonly destinationMask: number;
  readonly destination: number;
  readonly destinationInvert: boolean;
  /** -1 for any. */
  readonly protocol: number;
  readonly protocolInvert: boolean;
  readonly in: InterfaceTest | undefined;
  readonly out: InterfaceTest | undefined;
  readonly fragment: boolean | undefined;
  readonly tests: readonly Match[];
  readonly action: Action;
  /** Where it jumps, once that was looked up. */
  target: CompiledChain | undefined;

  constructor(rule: Rule) {
    const { source, destination, protocol, in: from, out, fragment, matches, action } = rule.spec;
    this.rule = rule;
    this.sourceMask = maskOf(source);
    this.source = bitsOf(source);
    this.sourceInvert = source?.invert ?? false;
    this.destinationMask = maskOf(destination);
    this.destination = bitsOf(destination);
    this.destinationInvert = destination?.invert ?? false;
    this.protocol = protocol?.number ?? -1;
    this.protocolInvert = protocol?.invert ?? false;
    this.in = from;
    this.out = out;
    this.fragment = fragment === undefined ? undefined : !fragment.invert;
    this.tests = testsAmong(matches);
    this.action = action;
    this.target = undefined;
  }

  /** Whether the packet passes the rule's own tests. Mirrors ip_packet_match(). */
  fits(header: Ipv4Header, state: HookState): boolean {
    if (((header.source & this.sourceMask) === this.source) === this.sourceInvert) return false;
    if (
      ((header.destination & this.destinationMask) === this.destination) ===
      this.destinationInvert
    )
      return false;
    if (this.in !== undefined && !fitsInterface(this.in, state.in?.name)) return false;
    if (this.out !== undefined && !fitsInterface(this.out, state.out?.name)) return false;
    if (this.protocol >= 0 && (header.protocol === this.protocol) === this.protocolInvert)
      return false;
    return this.fragment === undefined || header.fragmentOffset > 0 === this.fragment;
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
    if (this.in !== undefined && !fitsInterface(this.in, state.in?.name)) return false;
    if (this.out !== undefined && !fitsInterface(this.out, state.out?.name)) return false;
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

/** A hook without a device on that side has the empty name there. */
export function fitsInterface(test: InterfaceTest, name = ""): boolean {
  return (test.prefix ? name.startsWith(test.name) : name === test.name) !== test.invert;
}

const NO_TESTS: readonly Match[] = [];

/** Hardly any rule has more than a comment and one test; a list that is filtered has room for sixteen. */
function testsAmong(matches: readonly Match[]): readonly Match[] {
  const tests = matches.filter(({ extension }) => extension.name !== "comment");
  return tests.length === 0 ? NO_TESTS : tests.length === matches.length ? matches : tests.slice();
}

function maskOf(test: AddressTest | undefined): number {
  return typeof test?.mask === "number" ? test.mask | 0 : 0;
}

/** No address of IPv4 lies under one of IPv6: under an empty mask, nothing is 1. */
function bitsOf(test: AddressTest | undefined): number {
  if (test === undefined) return 0;
  return typeof test.address === "number" ? test.address | 0 : 1;
}

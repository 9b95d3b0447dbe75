import type { Place } from "../../base/errors.js";
import { formatMasked, isZeroMask, type MaskedAddress } from "./addresses.js";
import type { Match, ProtocolTest, Target } from "./extension.js";
import { formatProtocol } from "./protocols.js";
import type { Variant } from "./tables.js";
import { not } from "./values.js";

export interface AddressTest extends MaskedAddress {
  readonly invert: boolean;
}

/** `-i` or `-o`: a name, or the beginning of names when it ended in `+`. */
export interface InterfaceTest {
  readonly name: string;
  readonly prefix: boolean;
  readonly invert: boolean;
}

/** What a rule does to a packet that matches. */
export type Action =
  | { readonly kind: "none" }
  | { readonly kind: "verdict"; readonly verdict: "ACCEPT" | "DROP" | "RETURN" | "QUEUE" }
  | { readonly kind: "jump" | "goto"; readonly chain: string }
  | { readonly kind: "target"; readonly target: Target };

/** A rule as it was written; never changed. */
export interface RuleSpec {
  readonly source: AddressTest | undefined;
  readonly destination: AddressTest | undefined;
  readonly in: InterfaceTest | undefined;
  readonly out: InterfaceTest | undefined;
  readonly protocol: ProtocolTest | undefined;
  /** `-f`: second and later fragments. */
  readonly fragment: { readonly invert: boolean } | undefined;
  /** In the order they were first named. */
  readonly matches: readonly Match[];
  readonly action: Action;
  readonly place: Place | undefined;
}

/** A rule in a chain, with its counters. */
export interface Rule {
  readonly spec: RuleSpec;
  /** What nf_tables calls it by: counts up with every chain and rule of its table. */
  readonly handle: number;
  packets: number;
  bytes: number;
}

/** The rule without `-A CHAIN`, as save prints it: empty for a rule that only counts. */
export function formatRule(spec: RuleSpec, variant: Variant): string {
  const words: string[] = [];
  if (spec.source !== undefined && isPrinted(spec.source))
    words.push(`${not(spec.source.invert)}-s ${formatMasked(spec.source)}`);
  if (spec.destination !== undefined && isPrinted(spec.destination)) {
    words.push(`${not(spec.destination.invert)}-d ${formatMasked(spec.destination)}`);
  }
  if (spec.in !== undefined) words.push(...formatInterface("-i", spec.in, variant));
  if (spec.out !== undefined) words.push(...formatInterface("-o", spec.out, variant));
  if (spec.protocol !== undefined)
    words.push(`${not(spec.protocol.invert)}-p ${formatProtocol(spec.protocol.number)}`);
  if (spec.fragment !== undefined) words.push(`${not(spec.fragment.invert)}-f`);
  for (const match of spec.matches) words.push(named("-m", match));
  const action = formatAction(spec.action);
  if (action !== undefined) words.push(action);
  return words.join(" ");
}

function named(letter: string, { extension: { name }, text }: Match | Target): string {
  return text === "" ? `${letter} ${name}` : `${letter} ${name} ${text}`;
}

function isPrinted({ mask, invert }: AddressTest): boolean {
  return invert || !isZeroMask(mask);
}

/** Legacy keeps no mask for `+` and so forgets the whole test. */
function formatInterface(letter: string, test: InterfaceTest, variant: Variant): string[] {
  if (test.name === "" && (!test.invert || variant === "legacy")) return [];
  return [`${not(test.invert)}${letter} ${test.name}${test.prefix ? "+" : ""}`];
}

function formatAction(action: Action): string | undefined {
  switch (action.kind) {
    case "none":
      return undefined;
    case "verdict":
      return `-j ${action.verdict}`;
    case "jump":
      return `-j ${action.chain}`;
    case "goto":
      return `-g ${action.chain}`;
    case "target":
      return named("-j", action.target);
  }
}

/** What the rule does, as a trace names it. */
export function actionName(action: Action): string | undefined {
  switch (action.kind) {
    case "none":
      return undefined;
    case "verdict":
      return action.verdict;
    case "jump":
    case "goto":
      return action.chain;
    case "target":
      return action.target.extension.name;
  }
}

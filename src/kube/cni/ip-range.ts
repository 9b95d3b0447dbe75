import { isMapping } from "../load/check.js";
import {
  type Address,
  type Block,
  blockContains,
  firstOf,
  formatAddress,
  formatBlock,
  lastOf,
  parseAddress,
  parseBlock,
  step,
} from "./address.js";
import { stringField } from "./config.js";
import { fail } from "./failure.js";

/** A range of addresses in its canonical form. */
export interface IpRange {
  readonly subnet: Block;
  readonly start: Address;
  readonly end: Address;
  readonly gateway: Address;
}

/** Ranges that are one pool. */
export type RangeSet = readonly IpRange[];

/** `10.22.0.1-10.22.0.254,10.23.0.1-10.23.0.9`. */
export function rangeSetText(set: RangeSet): string {
  return set.map(rangeText).join(",");
}

function rangeText({ start, end }: IpRange): string {
  return `${formatAddress(start)}-${formatAddress(end)}`;
}

/**
 * The range sets of a configuration, each checked and completed. Mirrors
 * plugins/ipam/host-local/backend/allocator: config.go:LoadIPAMConfig(), range_set.go, range.go:Canonicalize().
 */
export function parseRangeSets(texts: readonly unknown[]): readonly RangeSet[] {
  if (texts.length === 0) fail("no IP ranges specified");
  const parsed = texts.map((set) =>
    Array.isArray(set) ? set.map(parseRange) : fail("json: cannot unmarshal a range set"),
  );
  const sets = parsed.map((set, number) => {
    try {
      return canonicalSet(set);
    } catch (error) {
      if (error instanceof Error) fail(`invalid range set ${number}: ${error.message}`);
      throw error;
    }
  });
  for (const [number, set] of sets.entries()) {
    const other = sets
      .slice(0, number)
      .findIndex((earlier) => earlier.some((a) => set.some((b) => overlap(a, b))));
    if (other >= 0) fail(`range set ${other} overlaps with ${number}`);
  }
  return sets;
}

interface RangeText {
  readonly subnet: Block;
  readonly start: Address | undefined;
  readonly end: Address | undefined;
  readonly gateway: Address | undefined;
}

function parseRange(value: unknown): RangeText {
  if (!isMapping(value))
    return fail("json: cannot unmarshal a range into Go value of type allocator.Range");
  const address = (key: string): Address | undefined => {
    const text = stringField(value, key);
    return text === "" ? undefined : (parseAddress(text) ?? fail(`invalid IP address: ${text}`));
  };
  const text = stringField(value, "subnet");
  const subnet = parseBlock(text) ?? fail(`invalid CIDR address: ${text}`);
  return {
    subnet,
    start: address("rangeStart"),
    end: address("rangeEnd"),
    gateway: address("gateway"),
  };
}

function canonicalSet(texts: readonly RangeText[]): RangeSet {
  if (texts.length === 0) fail("empty range set");
  const family = texts[0]?.subnet.family;
  const set = texts.map((text) => {
    const range = canonical(text);
    return range.subnet.family === family ? range : fail("mixed address families");
  });
  for (const [index, range] of set.entries()) {
    const other = set.slice(0, index).find((earlier) => overlap(earlier, range));
    if (other !== undefined) fail(`subnets ${rangeText(other)} and ${rangeText(range)} overlap`);
  }
  return set;
}

function canonical({ subnet, start, end, gateway }: RangeText): IpRange {
  const first = firstOf(subnet);
  const last = lastOf(subnet);
  if (last.value - first.value < 2n)
    fail(`Network ${formatBlock(subnet)} too small to allocate from`);
  if (first.value !== subnet.value) {
    fail(
      `Network has host bits set. For a subnet mask of length ${subnet.length} the network address is ${formatAddress(first)}`,
    );
  }
  const lowest = start ?? step(first, 1n);
  const highest = end ?? (subnet.family === 4 ? step(last, -1n) : last);
  const inside =
    start === undefined || (blockContains(subnet, start) && start.value <= highest.value);
  if (end !== undefined && !blockContains(subnet, end))
    fail(`RangeEnd ${formatAddress(end)} not in network ${formatBlock(subnet)}`);
  if (!inside) fail(`RangeStart ${formatAddress(lowest)} not in network ${formatBlock(subnet)}`);
  if (lowest.value > highest.value)
    fail(`RangeStart ${formatAddress(lowest)} not in network ${formatBlock(subnet)}`);
  return { subnet, start: lowest, end: highest, gateway: gateway ?? step(first, 1n) };
}

function overlap(a: IpRange, b: IpRange): boolean {
  return (
    a.subnet.family === b.subnet.family &&
    a.start.value <= b.end.value &&
    b.start.value <= a.end.value
  );
}

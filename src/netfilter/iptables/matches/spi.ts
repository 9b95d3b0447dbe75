import { formatRange, type Negatable, not, type Range, unsignedRange } from "../values.js";
import { option, type OptionSpec } from "../options.js";
import type { SkBuff } from "../../../core/skbuff.js";

/** What the matches of IPsec headers share: a range of security parameter indexes. */

export type SpiRange = Range & { readonly single: boolean };

export function spiOption(name: string): OptionSpec<SpiRange> {
  return option(name, unsignedRange(0xffff_ffff), { not: true });
}

/** The whole range is not printed, negated or not. */
export function formatSpi(name: string, test: Negatable<SpiRange> | undefined): readonly string[] {
  if (test === undefined || (test.value.low === 0 && test.value.high === 0xffff_ffff)) return [];
  return [`${not(test.invert)}--${name} ${formatRange(test.value)}`];
}

/** The unsigned 32-bit number at `at` of what follows the IPv4 header; undefined in later fragments or when cut short. */
export function payloadWord(skb: SkBuff, at: number): number | undefined {
  const { network, transport, payload } = skb.frame;
  if (
    network?.kind !== "ipv4" ||
    network.fragmentOffset > 0 ||
    transport !== undefined ||
    payload.length < at + 4
  )
    return undefined;
  return new DataView(payload.buffer, payload.byteOffset + at, 4).getUint32(0);
}

/** Whether the index at `at` is in the range. */
export function matchesSpi(
  skb: SkBuff,
  at: number,
  test: Negatable<SpiRange> | undefined,
): boolean | "hotdrop" {
  const { network } = skb.frame;
  if (network?.kind === "ipv4" && network.fragmentOffset > 0) return false;
  const spi = payloadWord(skb, at);
  if (spi === undefined) return "hotdrop";
  return test === undefined || (spi >= test.value.low && spi <= test.value.high) !== test.invert;
}

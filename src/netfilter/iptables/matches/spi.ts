import { formatRange, type Negatable, not, type Range, unsignedRange } from "../values.js";
import { option, type OptionSpec } from "../options.js";
import type { SkBuff } from "../../../core/skbuff.js";
import { get32 } from "../../../wire/bytes.js";
import { fragmentOffsetOf, upperPayload } from "../packet.js";

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

/** The unsigned 32-bit number at `at` of what follows the IP headers; undefined in later fragments or when cut short. */
export function payloadWord({ frame }: SkBuff, at: number): number | undefined {
  if (frame.transport !== undefined) return undefined;
  const payload = upperPayload(frame)?.payload;
  return payload === undefined || payload.length < at + 4 ? undefined : get32(payload, at);
}

export function fitsSpi(spi: number, test: Negatable<SpiRange> | undefined): boolean {
  return test === undefined || (spi >= test.value.low && spi <= test.value.high) !== test.invert;
}

/** Whether the index at `at` is in the range; of the header `size` bytes have to be there. */
export function matchesSpi(
  skb: SkBuff,
  { at, size }: { readonly at: number; readonly size: number },
  test: Negatable<SpiRange> | undefined,
): boolean | "hotdrop" {
  if (fragmentOffsetOf(skb.frame) > 0) return false;
  const spi = payloadWord(skb, at);
  if (spi === undefined || payloadWord(skb, size - 4) === undefined) return "hotdrop";
  return fitsSpi(spi, test);
}

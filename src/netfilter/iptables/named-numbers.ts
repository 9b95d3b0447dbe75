import { hex, parseNumber } from "./numbers.js";
import type { OptionUse } from "./options.js";
import { refuse } from "./refusal.js";

/** A number under a mask that iproute2's files may name. */
export interface NamedMask {
  readonly value: number;
  readonly mask: number;
}

/** `N[/M]` or a name. Mirrors xtables_parse_val_mask(). */
export function readNamed(
  names: ReadonlyMap<string, number>,
): (text: string, use: OptionUse) => NamedMask {
  return (text, { owner, option }) => {
    const [first = "", second] = text.split("/");
    const value = parseNumber(first, 0, 0xffff_ffff);
    const mask = second === undefined ? 0xffff_ffff : parseNumber(second, 0, 0xffff_ffff);
    if (value !== undefined && mask !== undefined) return { value, mask };
    const named = names.get(text);
    if (named === undefined)
      throw refuse(
        `${owner}: could not map name ${text} to an integer value for option "--${option}".\n`,
      );
    return { value: named, mask: 0xffff_ffff };
  };
}

/** A name when there is one for the whole number, else hex. Mirrors xtables_print_val_mask(). */
export function formatNamed(
  { value, mask }: NamedMask,
  names: ReadonlyMap<string, number>,
): string {
  if (mask !== 0xffff_ffff) return `${hex(value)}/${hex(mask)}`;
  for (const [name, number] of names) if (number === value) return name;
  return hex(value);
}

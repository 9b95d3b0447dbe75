import { hex } from "./numbers.js";
import { option, type OptionArgs, type OptionSpec } from "./options.js";
import { markMask, u32 } from "./values.js";

/** What to do with a mark: `(mark & ~mask) ^ value`. */
export interface MarkChange {
  readonly value: number;
  readonly mask: number;
}

interface MarkOption {
  readonly name: string;
  readonly spec: OptionSpec<MarkChange>;
}

const ALL = 0xffff_ffff;
const NAMES = ["set-xmark", "set-mark", "and-mark", "or-mark", "xor-mark"] as const;

/** The five ways to say a change of a mark, in `MARK` and `CONNMARK`; `others` excludes them too. */
export function markOptions(others: readonly string[] = []): readonly MarkOption[] {
  const read: Readonly<Record<(typeof NAMES)[number], OptionSpec<MarkChange>["read"]>> = {
    "set-xmark": markMask,
    "set-mark": (text, use) => {
      const { value, mask } = markMask(text, use);
      return { value, mask: (mask | value) >>> 0 };
    },
    "and-mark": (text, use) => ({ value: 0, mask: ~readNumber(text, use) >>> 0 }),
    "or-mark": (text, use) => {
      const value = readNumber(text, use);
      return { value, mask: value };
    },
    "xor-mark": (text, use) => ({ value: readNumber(text, use), mask: 0 }),
  };
  return NAMES.map((name) => {
    const excludes = [...NAMES.filter((other) => other !== name), ...others];
    return {
      name,
      spec: option(name, (text, use) => read[name]?.(text, use) ?? { value: 0, mask: 0 }, {
        excludes,
      }),
    };
  });
}

const readNumber = u32;

/** The change that was asked for, by whichever option. */
export function markChange(
  args: OptionArgs,
  options: readonly MarkOption[],
): MarkChange | undefined {
  for (const { spec } of options) {
    const change = args.value(spec);
    if (change !== undefined) return change;
  }
  return undefined;
}

export function applyMark(mark: number, { value, mask }: MarkChange): number {
  return ((mark & ~mask) ^ value) >>> 0;
}

export function formatMarkChange({ value, mask }: MarkChange): string {
  return `--set-xmark ${hex(value)}/${hex(mask & ALL)}`;
}

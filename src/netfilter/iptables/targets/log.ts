import type { LogPart } from "../../../core/trace.js";
import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import { flag, option } from "../options.js";
import { parseNumber } from "../numbers.js";
import { refuse } from "../refusal.js";
import { cutBytes, string } from "../values.js";
import { quoteText } from "../words.js";

interface Log {
  readonly prefix: string | undefined;
  readonly level: number;
  readonly parts: readonly LogPart[];
}

/** The kernel's levels; index is the number. */
const LEVELS = ["emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"] as const;
const ALIASES: Readonly<Record<string, number>> = { panic: 0, err: 3 };
const WARNING = 4;

const LEVEL = option("log-level", readLevel);
const PREFIX = option("log-prefix", (text, use) =>
  cutBytes(string(1, Number.POSITIVE_INFINITY)(text, use), 29),
);
/** In the order they are printed. */
const PARTS = ["tcp-sequence", "tcp-options", "ip-options", "uid", "macdecode"] as const;
const FLAGS = PARTS.map((part) => ({ part, spec: flag(`log-${part}`) }));

/** `-j LOG`: a line in the kernel's log; the packet goes on as it is. */
export const log: TargetExtension = defineTarget<Log>({
  name: "LOG",
  mirrors: "net/netfilter/xt_LOG.c:log_tg()",
  fidelity: "exact",
  examples: [
    "",
    '--log-prefix "in: " --log-level 7',
    "--log-prefix abc --log-tcp-sequence --log-uid",
  ],
  options: [LEVEL, PREFIX, ...FLAGS.map(({ spec }) => spec)],
  parse: (args) => ({
    prefix: args.value(PREFIX),
    level: args.value(LEVEL) ?? WARNING,
    parts: FLAGS.filter(({ spec }) => args.has(spec)).map(({ part }) => part),
  }),
  format({ prefix, level, parts }) {
    const words: string[] = [];
    if (prefix !== undefined) words.push(`--log-prefix ${quoteText(prefix)}`);
    if (level !== WARNING) words.push(`--log-level ${level}`);
    return [...words, ...parts.map((part) => `--log-${part}`)].join(" ");
  },
  apply: () => CONTINUE,
  log: ({ prefix = "", level, parts }) => ({ by: "LOG", level, group: undefined, prefix, parts }),
});

function readLevel(text: string): number {
  const number = parseNumber(text, 0, 7);
  if (number !== undefined) return number;
  const named = ALIASES[text] ?? LEVELS.findIndex((name) => name === text);
  if (named < 0) throw refuse(`log level "${text}" unknown\n`);
  return named;
}

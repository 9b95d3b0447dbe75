import { CONTINUE, type TargetExtension, defineTarget } from "../extension.js";
import { flag, option } from "../options.js";
import { parseNumber } from "../numbers.js";
import { refuse } from "../refusal.js";
import { cutBytes, string } from "../values.js";
import { quoteText } from "../words.js";

interface Log {
  readonly prefix: string | undefined;
  readonly level: number;
  readonly flags: readonly string[];
}

/** The kernel's levels; index is the number. */
const LEVELS = ["emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"] as const;
const ALIASES: Readonly<Record<string, number>> = { panic: 0, err: 3 };
const WARNING = 4;

const LEVEL = option("log-level", readLevel);
const PREFIX = option("log-prefix", (text, use) =>
  cutBytes(string(1, Number.POSITIVE_INFINITY)(text, use), 29),
);
const FLAGS = [
  "log-tcp-sequence",
  "log-tcp-options",
  "log-ip-options",
  "log-uid",
  "log-macdecode",
].map((name) => flag(name));

/** `-j LOG`: a line in the kernel's log; the packet goes on as it is. */
export const log: TargetExtension = defineTarget<Log>({
  name: "LOG",
  mirrors: "net/netfilter/xt_LOG.c:log_tg()",
  fidelity: "simplified",
  examples: [
    "",
    '--log-prefix "in: " --log-level 7',
    "--log-prefix abc --log-tcp-sequence --log-uid",
  ],
  options: [LEVEL, PREFIX, ...FLAGS],
  parse: (args) => ({
    prefix: args.value(PREFIX),
    level: args.value(LEVEL) ?? WARNING,
    flags: FLAGS.filter((spec) => args.has(spec)).map((spec) => spec.names[0] ?? ""),
  }),
  format({ prefix, level, flags }) {
    const words: string[] = [];
    if (prefix !== undefined) words.push(`--log-prefix ${quoteText(prefix)}`);
    if (level !== WARNING) words.push(`--log-level ${level}`);
    return [...words, ...flags.map((name) => `--${name}`)].join(" ");
  },
  apply: () => CONTINUE,
});

function readLevel(text: string): number {
  const number = parseNumber(text, 0, 7);
  if (number !== undefined) return number;
  const named = ALIASES[text] ?? LEVELS.findIndex((name) => name === text);
  if (named < 0) throw refuse(`log level "${text}" unknown\n`);
  return named;
}

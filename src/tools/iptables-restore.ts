import { applyRuleset, rulesetOf } from "../netfilter/iptables/apply.js";
import type { RuleFamily } from "../netfilter/iptables/addresses.js";
import { exitCode, stderrText, type Voice } from "../netfilter/iptables/messages.js";
import { IptablesError } from "../netfilter/iptables/refusal.js";
import { restore, type RestoreOptions } from "../netfilter/iptables/restore.js";
import { environmentOf } from "../netfilter/iptables/set-use.js";
import type { Variant } from "../netfilter/iptables/tables.js";
import type { ToolContext, ToolResult } from "./command.js";
import { namespaceOf } from "./iptables-namespace.js";

type Flags = {
  -readonly [K in "counters" | "noflush" | "test" | "verbose" | "table"]?: RestoreOptions[K];
};

/**
 * `iptables-restore [-c] [-n] [-t] [-v] [-T TABLE]`. Input that comes from a file of the user's (`stdinName`) throws an
 * error placed in that file, and keeps matches that nobody knows as unmodelled; input without a name fails as in a shell.
 */
export function iptablesRestore(
  args: readonly string[],
  context: ToolContext,
  {
    name,
    family,
    variant,
  }: { readonly name: string; readonly family: RuleFamily; readonly variant: Variant },
): ToolResult {
  const program = variant === "legacy" ? name.replace("-legacy", "") : name;
  const flags = readFlags(args);
  if (typeof flags === "string") {
    return {
      code: 1,
      stdout: "",
      stderr: `${name}: ${flags}\nTry \`${program} -h' for more information.\n`,
    };
  }
  const ns = namespaceOf(context);
  const voice: Voice = { mode: "restore", variant, family, program };
  const options: RestoreOptions = {
    ...flags,
    file: context.stdinName ?? "stdin",
    family,
    variant,
    program,
    base: rulesetOf(ns, family, variant),
    environment: { ...environmentOf(ns), missingSets: context.stdinName !== undefined },
    strict: context.stdinName === undefined,
  };
  try {
    const { stdout, warnings } = restore(context.stdin, options, (ruleset) =>
      applyRuleset(ns, ruleset),
    );
    return { code: 0, stdout, stderr: warnings.map((line) => `${line}\n`).join("") };
  } catch (error) {
    if (!(error instanceof IptablesError) || context.stdinName !== undefined) throw error;
    return { code: exitCode(error, voice), stdout: "", stderr: stderrText(error, voice) };
  }
}

/** The options, or what getopt says of one it does not know. */
function readFlags(args: readonly string[]): Flags | string {
  const flags: Flags = {};
  for (let index = 0; index < args.length; index++) {
    const word = args[index] ?? "";
    switch (word) {
      case "-c":
      case "--counters":
        flags.counters = true;
        break;
      case "-n":
      case "--noflush":
        flags.noflush = true;
        break;
      case "-t":
      case "--test":
        flags.test = true;
        break;
      case "-v":
      case "--verbose":
        flags.verbose = true;
        break;
      case "-T":
      case "--table":
        flags.table = args[++index];
        break;
      case "-w":
      case "--wait":
        if (/^\d+$/.test(args[index + 1] ?? "")) index++;
        break;
      case "-W":
      case "--wait-interval":
      case "-M":
      case "--modprobe":
        index++;
        break;
      default:
        if (/^(-w|--wait=)\d+$/.test(word)) break;
        return word.startsWith("--")
          ? `unrecognized option '${word}'`
          : `invalid option -- '${word[1] ?? word}'`;
    }
  }
  return flags;
}

import { rulesetOf } from "../netfilter/iptables/apply.js";
import type { RuleFamily } from "../netfilter/iptables/addresses.js";
import { formatCtime } from "../netfilter/iptables/calendar.js";
import { formatSave } from "../netfilter/iptables/save.js";
import { isTableName, type Variant } from "../netfilter/iptables/tables.js";
import type { ToolContext, ToolResult } from "./command.js";
import { namespaceOf } from "./iptables-namespace.js";

/** `iptables-save [-c] [-t TABLE]`. The date in its comments is the simulation's, which starts in 1970. */
export function iptablesSave(
  args: readonly string[],
  context: ToolContext,
  {
    name,
    family,
    variant,
  }: { readonly name: string; readonly family: RuleFamily; readonly variant: Variant },
): ToolResult {
  let counters = false;
  let table: string | undefined;
  for (let index = 0; index < args.length; index++) {
    const word = args[index] ?? "";
    if (word === "-c" || word === "--counters") counters = true;
    else if (word === "-t" || word === "--table") table = args[++index] ?? "";
    else if (word === "-M" || word === "--modprobe") index++;
    else return unknownOption(name, word);
  }
  if (table !== undefined && !isTableName(table))
    return { code: 1, stdout: "", stderr: `${name}: Table '${table}' does not exist\n` };
  const ns = namespaceOf(context);
  const date = formatCtime(ns.sim.queue.now / 1_000_000);
  return {
    code: 0,
    stdout: formatSave(rulesetOf(ns, family, variant), { counters, table, date, program: name }),
    stderr: "",
  };
}

function unknownOption(program: string, word: string): ToolResult {
  if (!word.startsWith("-"))
    return { code: 1, stdout: "", stderr: "Unknown arguments found on commandline\n" };
  const what = word.startsWith("--")
    ? `unrecognized option '${word}'`
    : `invalid option -- '${word[1] ?? ""}'`;
  const shown = program.replace("-legacy", "");
  return {
    code: 1,
    stdout: "",
    stderr: `${program}: ${what}\nLook at manual page \`${shown}.8' for more information.\n`,
  };
}

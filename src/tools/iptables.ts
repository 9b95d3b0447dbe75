import type { NetworkNamespace } from "../core/namespace.js";
import { applyRuleset, rulesetOf } from "../netfilter/iptables/apply.js";
import type { RuleFamily } from "../netfilter/iptables/addresses.js";
import type { CommandContext } from "../netfilter/iptables/command.js";
import { parseCommand, placed } from "../netfilter/iptables/command-reader.js";
import { TableEditor } from "../netfilter/iptables/editor.js";
import { exitCode, stderrText, type Voice } from "../netfilter/iptables/messages.js";
import { IptablesError, Refusal } from "../netfilter/iptables/refusal.js";
import { cloneRuleset } from "../netfilter/iptables/ruleset.js";
import { environmentOf } from "../netfilter/iptables/set-use.js";
import { isTableName, type TableName, type Variant } from "../netfilter/iptables/tables.js";
import { wordsOfArguments } from "../netfilter/iptables/words.js";
import type { Tool, ToolContext, ToolResult } from "./command.js";
import { namespaceOf } from "./iptables-namespace.js";
import { iptablesRestore } from "./iptables-restore.js";
import { iptablesSave } from "./iptables-save.js";

/** One name a program of the family goes by. */
interface Name {
  readonly name: string;
  readonly family: RuleFamily;
  readonly variant: Variant;
}

function namesOf(suffix: string): readonly Name[] {
  return (["iptables", "ip6tables"] as const).flatMap((tool) => {
    const family: RuleFamily = tool === "iptables" ? "ipv4" : "ipv6";
    return [
      { name: `${tool}${suffix}`, family, variant: "nft" },
      { name: `${tool}-nft${suffix}`, family, variant: "nft" },
      { name: `${tool}-legacy${suffix}`, family, variant: "legacy" },
    ];
  });
}

/** iptables, iptables-save and iptables-restore under all their names; without `-legacy` they are the nft variant. */
export const iptablesTools: readonly Tool[] = [
  ...namesOf("").map((name) => ({
    name: name.name,
    run: (args: readonly string[], context: ToolContext) => iptables(args, context, name),
  })),
  ...namesOf("-save").map((name) => ({
    name: name.name,
    run: (args: readonly string[], context: ToolContext) => iptablesSave(args, context, name),
  })),
  ...namesOf("-restore").map((name) => ({
    name: name.name,
    run: (args: readonly string[], context: ToolContext) => iptablesRestore(args, context, name),
  })),
];

/** `iptables [-t TABLE] COMMAND …`: one command, at once. */
function iptables(
  args: readonly string[],
  context: ToolContext,
  { family, variant }: Name,
): ToolResult {
  const ns = namespaceOf(context);
  // The real programs speak as `iptables` under every name.
  const program = family === "ipv4" ? "iptables" : "ip6tables";
  const voice: Voice = { mode: "command", variant, family, program };
  if (args.includes("-V") || args.includes("--version")) {
    return {
      code: 0,
      stdout: `${program} v1.8.9 (${variant === "nft" ? "nf_tables" : "legacy"})\n`,
      stderr: "",
    };
  }
  const { table, rest } = takeTable(args);
  if (!isTableName(table)) return { code: 3, stdout: "", stderr: noTable(table, voice) };
  let stdout = "";
  const warnings: string[] = [];
  try {
    runCommand(ns, table, rest, {
      voice,
      print: (text) => (stdout += text),
      warn: (line) => warnings.push(`${line}\n`),
    });
    return { code: 0, stdout, stderr: warnings.join("") };
  } catch (error) {
    if (!(error instanceof IptablesError)) throw error;
    return {
      code: exitCode(error, voice),
      stdout,
      stderr: warnings.join("") + stderrText(error, voice),
    };
  }
}

interface Output {
  readonly voice: Voice;
  readonly print: (text: string) => void;
  readonly warn: (line: string) => void;
}

function runCommand(
  ns: NetworkNamespace,
  table: TableName,
  args: readonly string[],
  { voice, print, warn }: Output,
): void {
  const { family, variant, program } = voice;
  const environment = environmentOf(ns);
  const editor = new TableEditor(cloneRuleset(rulesetOf(ns, family, variant)), table, {
    environment,
    lenient: false,
    print,
  });
  const context: CommandContext = {
    family,
    variant,
    table,
    environment,
    warn,
    mode: "command",
    program,
    keepUnknown: false,
    isUserChain: (name) => editor.isUserChain(name),
    file: program,
    line: undefined,
    sourceLine: [program, ...args].join(" "),
    counters: undefined,
  };
  try {
    const command = parseCommand(wordsOfArguments(args), context);
    if (command === undefined) return;
    editor.run(command);
    if (command.kind === "list" || command.kind === "list-rules" || command.kind === "check")
      return;
    editor.commit(undefined);
    applyRuleset(ns, editor.ruleset);
  } catch (error) {
    throw error instanceof Refusal ? placed(error, undefined, context) : error;
  }
}

/** `-t` may stand anywhere on the line. */
function takeTable(args: readonly string[]): {
  readonly table: string;
  readonly rest: readonly string[];
} {
  const rest: string[] = [];
  let table = "filter";
  for (let index = 0; index < args.length; index++) {
    const word = args[index] ?? "";
    if (word === "-t" || word === "--table") table = args[++index] ?? "";
    else if (word.startsWith("--table=")) table = word.slice("--table=".length);
    else rest.push(word);
  }
  return { table, rest };
}

function noTable(table: string, { variant, program }: Voice): string {
  const upgrade = "Perhaps iptables or your kernel needs to be upgraded.\n";
  if (variant === "nft")
    return `${program} v1.8.9 (nf_tables): table '${table}' does not exist\n${upgrade}`;
  return `${program} v1.8.9 (legacy): can't initialize ${program} table \`${table}': Table does not exist (do you need to insmod?)\n${upgrade}`;
}

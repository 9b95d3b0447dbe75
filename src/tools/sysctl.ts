import type { NetworkNamespace } from "../core/namespace.js";
import { nearest } from "../base/nearest.js";
import { UserError } from "../base/errors.js";
import type { Tool, ToolContext, ToolResult } from "./command.js";
import { notModelled } from "./failure.js";

interface Options {
  readonly write: boolean;
  readonly valuesOnly: boolean;
  readonly namesOnly: boolean;
  readonly quiet: boolean;
  readonly ignoreUnknown: boolean;
  readonly all: boolean;
}

interface Output {
  stdout: string;
  stderr: string;
  failed: boolean;
}

/** `sysctl` of procps-ng: reads and writes the knobs of the namespace it runs in. */
export const sysctl: Tool = { name: "sysctl", run };

function run(args: readonly string[], context: ToolContext): ToolResult {
  const { options, words } = readOptions(args);
  const ns = namespaceFor(context);
  const out: Output = { stdout: "", stderr: "", failed: false };
  if (options.all)
    for (const name of [...ns.sysctls.names()].toSorted()) read(ns, name, options, out);
  else if (words.length === 0)
    return {
      code: 1,
      stdout: "",
      stderr: "sysctl: no variables specified\nTry `sysctl --help' for more information.\n",
    };
  for (const [index, word] of words.entries()) {
    const equals = word.indexOf("=");
    if (equals >= 0)
      write(ns, word.slice(0, equals).trim(), word.slice(equals + 1).trim(), options, out);
    else if (options.write)
      complain(out, `sysctl: command line(${index}): invalid syntax, continuing...\n`);
    else read(ns, word, options, out);
  }
  return { code: out.failed ? 1 : 0, stdout: out.stdout, stderr: out.stderr };
}

function readOptions(args: readonly string[]): {
  readonly options: Options;
  readonly words: readonly string[];
} {
  const letters = new Set<string>();
  const words: string[] = [];
  for (const arg of args) {
    if (!arg.startsWith("-")) words.push(arg);
    else if (arg.startsWith("--")) letters.add(LONG_OPTIONS[arg] ?? arg);
    else for (const letter of arg.slice(1)) letters.add(letter);
  }
  for (const letter of letters)
    if (!"wnNqeaA".includes(letter)) throw notModelled("sysctl", `option ${letter}`);
  const has = (letter: string): boolean => letters.has(letter);
  return {
    options: {
      write: has("w"),
      valuesOnly: has("n"),
      namesOnly: has("N"),
      quiet: has("q"),
      ignoreUnknown: has("e"),
      all: has("a") || has("A"),
    },
    words,
  };
}

const LONG_OPTIONS: Readonly<Record<string, string>> = {
  "--write": "w",
  "--values": "n",
  "--names": "N",
  "--quiet": "q",
  "--ignore": "e",
  "--all": "a",
};

function namespaceFor({ sim, ns }: ToolContext): NetworkNamespace {
  const found = ns === undefined ? undefined : sim.namespaces.get(ns);
  if (found === undefined) {
    throw new UserError(
      "TOOL_NO_NAMESPACE",
      ns === undefined ? "sysctl needs a namespace to run in" : `there is no namespace ${ns}`,
      {
        help: ns === undefined ? undefined : nearestHelp(ns, sim.namespaces.keys()),
      },
    );
  }
  return found;
}

function nearestHelp(word: string, candidates: Iterable<string>): string | undefined {
  const near = nearest(word, candidates);
  return near === undefined ? undefined : `did you mean ${near}?`;
}

function read(ns: NetworkNamespace, word: string, options: Options, out: Output): void {
  const name = dotted(word);
  const knob = ns.sysctls.find(name);
  if (knob === undefined) return unknown(name, options, out);
  if (options.namesOnly) out.stdout += `${name}\n`;
  else out.stdout += options.valuesOnly ? `${knob.get()}\n` : `${name} = ${knob.get()}\n`;
}

/** A written value is printed as it was given, not as the kernel keeps it. */
function write(
  ns: NetworkNamespace,
  word: string,
  value: string,
  options: Options,
  out: Output,
): void {
  const name = dotted(word);
  const knob = ns.sysctls.find(name);
  if (knob === undefined) return unknown(name, options, out);
  try {
    knob.set(value);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return complain(out, `sysctl: setting key "${name}": ${error.message}\n`);
  }
  if (!options.quiet) out.stdout += options.valuesOnly ? `${value}\n` : `${name} = ${value}\n`;
}

function unknown(name: string, options: Options, out: Output): void {
  if (options.ignoreUnknown) return;
  const path = name.replaceAll(/[./]/g, (separator) => (separator === "." ? "/" : "."));
  complain(out, `sysctl: cannot stat /proc/sys/${path}: No such file or directory\n`);
}

function complain(out: Output, text: string): void {
  out.stderr += text;
  out.failed = true;
}

/** `net/ipv4/conf/eth0.5/rp_filter` is `net.ipv4.conf.eth0/5.rp_filter`: the first separator says which way round. */
function dotted(word: string): string {
  const first = word.search(/[./]/);
  if (first < 0 || word[first] === ".") return word;
  return word.replaceAll(/[./]/g, (separator) => (separator === "/" ? "." : "/"));
}

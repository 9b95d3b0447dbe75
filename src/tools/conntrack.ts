import type { NetworkNamespace } from "../core/namespace.js";
import { conntrack } from "../netfilter/conntrack/table.js";
import { type EntryFormat, formatEntry, formatStatistics } from "../netfilter/conntrack/text.js";
import type { Tool, ToolResult } from "./command.js";
import {
  type ConntrackRequest,
  ConntrackUsageError,
  readConntrackArguments,
} from "./conntrack-options.js";

const PREFIX = "conntrack v1.4.7 (conntrack-tools): ";

/** `conntrack`: lists, deletes, counts and flushes tracked connections, in the words of conntrack-tools 1.4.7. */
export const conntrackTool: Tool = {
  name: "conntrack",

  run(args, context) {
    const ns = context.sim.namespaces.get(context.ns ?? "");
    if (ns === undefined) return usage("Can't open handler");
    try {
      return perform(readConntrackArguments(args), ns);
    } catch (error) {
      if (error instanceof ConntrackUsageError) return usage(error.message);
      throw error;
    }
  },
};

function perform(request: ConntrackRequest, ns: NetworkNamespace): ToolResult {
  switch (request.command) {
    case "list":
      return list(request, ns);
    case "delete":
      return remove(request, ns);
    case "flush":
      conntrack(ns).remove(() => true);
      return {
        code: 0,
        stdout: "",
        stderr: `${PREFIX}connection tracking table has been emptied.\n`,
      };
    case "count":
      return { code: 0, stdout: `${[...conntrack(ns).entries()].length}\n`, stderr: "" };
    case "statistics":
      return { code: 0, stdout: `${formatStatistics(conntrack(ns).statistics)}\n`, stderr: "" };
    case "version":
      return { code: 0, stdout: "conntrack v1.4.7 (conntrack-tools)\n", stderr: "" };
    default:
      return request.command satisfies never;
  }
}

function list({ table, filter, format }: ConntrackRequest, ns: NetworkNamespace): ToolResult {
  if (table === "expect")
    return { code: 0, stdout: "", stderr: `${PREFIX}0 expectations have been shown.\n` };
  const shown = table === "conntrack" ? [...conntrack(ns).entries()].filter(filter) : [];
  const lines = shown.map((entry) => `${formatEntry(entry, ns.sim.queue.now, format)}\n`);
  return {
    code: 0,
    stdout: lines.join(""),
    stderr: `${PREFIX}${lines.length} flow entries have been shown.\n`,
  };
}

/** What is deleted is shown; nothing to delete is a failure. */
function remove({ filter, format }: ConntrackRequest, ns: NetworkNamespace): ToolResult {
  const table = conntrack(ns);
  const lines: string[] = [];
  const shown: EntryFormat = format;
  table.remove((entry) => {
    if (!filter(entry)) return false;
    lines.push(`${formatEntry(entry, table.now, shown)}\n`);
    return true;
  });
  const stderr = `${PREFIX}${lines.length} flow entries have been deleted.\n`;
  return { code: lines.length === 0 ? 1 : 0, stdout: lines.join(""), stderr };
}

function usage(message: string): ToolResult {
  return {
    code: 2,
    stdout: "",
    stderr: `${PREFIX}${message}\nTry \`conntrack -h' or 'conntrack --help' for more information.\n`,
  };
}

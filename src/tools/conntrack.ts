import type { NetworkNamespace } from "../core/namespace.js";
import { formatExpectation } from "../netfilter/conntrack/expectation-text.js";
import { type LabelNames, labelFile, hasLabel } from "../netfilter/conntrack/labels.js";
import { formatSavedEntry } from "../netfilter/conntrack/save-text.js";
import { conntrack } from "../netfilter/conntrack/table.js";
import {
  type EntryFormat,
  formatEntry,
  formatExpectationStatistics,
  formatStatistics,
} from "../netfilter/conntrack/text.js";
import type { Connection } from "../netfilter/conntrack/connection.js";
import { formatXmlEntry, XML_HEAD, XML_TAIL } from "../netfilter/conntrack/xml-text.js";
import type { Tool, ToolResult } from "./command.js";
import { createEntry, findEntry, updateEntries } from "./conntrack-change.js";
import { tellEvents, tellExpectationEvents, timestamp } from "./conntrack-event.js";
import { ConntrackFailure, ConntrackUsageError, fail } from "./conntrack-failure.js";
import type { Filter } from "./conntrack-option-table.js";
import { type ConntrackRequest, readConntrackArguments } from "./conntrack-options.js";

const PREFIX = "conntrack v1.4.7 (conntrack-tools): ";

/** `conntrack`: lists, makes, changes and deletes tracked connections, in the words of conntrack-tools 1.4.7. */
export const conntrackTool: Tool = {
  name: "conntrack",

  run(args, context) {
    const ns = context.sim.namespaces.get(context.ns ?? "");
    if (ns === undefined) return usage("Can't open handler", "");
    let warnings = "";
    try {
      const request = readConntrackArguments(args);
      warnings = request.warnings + labelWarning(request, ns);
      const result = perform(request, ns);
      return { ...result, stderr: warnings + result.stderr };
    } catch (error) {
      if (error instanceof ConntrackUsageError) return usage(error.message, warnings);
      if (error instanceof ConntrackFailure)
        return {
          code: 1,
          stdout: "",
          stderr: `${warnings}${error.before}${PREFIX}${error.message}\n`,
        };
      throw error;
    }
  },
};

function perform(request: ConntrackRequest, ns: NetworkNamespace): ToolResult {
  const { command, table } = request;
  if (table === "expect") return performOnExpectations(request, ns);
  switch (command) {
    case "list":
      return list(request, ns);
    case "get":
      return get(request, ns);
    case "create":
    case "add":
      return create(request, ns);
    case "update":
      return update(request, ns);
    case "delete":
      return remove(request, ns);
    case "event": {
      const { stdout, count } = tellEvents(withLabels(request, ns), ns, formatOf(request, ns));
      return done(stdout, `${count} flow events have been shown.`);
    }
    case "flush":
      conntrack(ns).remove(() => true);
      return done("", "connection tracking table has been emptied.");
    case "count":
      return { code: 0, stdout: `${[...conntrack(ns).entries()].length}\n`, stderr: "" };
    case "statistics":
      return { code: 0, stdout: `${formatStatistics(conntrack(ns).statistics)}\n`, stderr: "" };
    case "version":
      return { code: 0, stdout: "conntrack v1.4.7 (conntrack-tools)\n", stderr: "" };
    default:
      return command satisfies never;
  }
}

function performOnExpectations(request: ConntrackRequest, ns: NetworkNamespace): ToolResult {
  const { expectations, now } = conntrack(ns);
  switch (request.command) {
    case "list": {
      // Without -f those of IPv4 alone are asked for.
      const stamp = request.output.has("timestamp") ? timestamp(now) : "";
      const type = request.family === "ipv6" ? "bigint" : "number";
      const lines = expectations
        .entries()
        .filter(({ tuple }) => typeof tuple.source === type)
        .map((expectation) => `${stamp}${formatExpectation(expectation, now)}\n`);
      return done(lines.join(""), `${lines.length} expectations have been shown.`);
    }
    case "event": {
      const { stdout, count } = tellExpectationEvents(request, ns);
      return done(stdout, `${count} expectation events have been shown.`);
    }
    case "flush":
      expectations.remove(() => true);
      return done("", "expectation table has been emptied.");
    case "count":
      return { code: 0, stdout: `${expectations.entries().length}\n`, stderr: "" };
    case "statistics":
      return {
        code: 0,
        stdout: `${formatExpectationStatistics(expectations.statistics)}\n`,
        stderr: "",
      };
    default:
      return fail(`\`${request.command}' of expectations is not modelled by hopwise`);
  }
}

function done(stdout: string, words: string): ToolResult {
  return { code: 0, stdout, stderr: `${PREFIX}${words}\n` };
}

function formatOf({ output, given }: ConntrackRequest, ns: NetworkNamespace): EntryFormat {
  const wantsLabels = output.has("labels") || given.has("--label");
  return {
    extended: output.has("extended"),
    id: output.has("id"),
    times: output.has("ktimestamp"),
    labels: wantsLabels ? labelFile(ns).names : undefined,
  };
}

/** Labels have their names from a file, which is not there unless somebody told what is in it. */
function labelWarning({ output, given }: ConntrackRequest, ns: NetworkNamespace): string {
  const asked =
    output.has("labels") || ["--label", "--label-add", "--label-del"].some((one) => given.has(one));
  return asked && labelFile(ns).names === undefined
    ? "nfct_labelmap_new: No such file or directory\n"
    : "";
}

/** `-l NAME,…` chooses the entries that have all of these labels. */
function withLabels(request: ConntrackRequest, ns: NetworkNamespace): ConntrackRequest {
  const { given, filter } = request;
  for (const name of ["--label", "--label-add", "--label-del"]) {
    const text = given.get(name);
    if (text !== undefined && text !== "") labelsNamed(text, labelFile(ns).names);
  }
  const text = given.get("--label");
  if (text === undefined) return request;
  const labels = labelsNamed(text, labelFile(ns).names);
  const hasAll: Filter = (entry) => labels.every((label) => hasLabel(entry, label));
  return { ...request, filter: (entry) => filter(entry) && hasAll(entry) };
}

function labelsNamed(text: string, names: LabelNames | undefined): readonly number[] {
  return text.split(",").map((name) => names?.byName.get(name) ?? fail(`unknown label '${name}'`));
}

function list(given: ConntrackRequest, ns: NetworkNamespace): ToolResult {
  const request = withLabels(given, ns);
  const { table, filter, output } = request;
  const shown = table === "conntrack" ? [...conntrack(ns).entries()].filter(filter) : [];
  const text = shown.map((entry) => lineOf(entry, "-A", request, ns)).join("");
  if (request.given.has("--zero"))
    for (const { counters } of shown)
      for (const counter of counters === undefined ? [] : [counters.original, counters.reply])
        Object.assign(counter, { packets: 0, bytes: 0 });
  const stdout = output.has("xml") && shown.length > 0 ? XML_HEAD + text + XML_TAIL : text;
  return done(stdout, `${shown.length} flow entries have been shown.`);
}

function lineOf(
  entry: Connection,
  saved: "-A" | "-D",
  request: ConntrackRequest,
  ns: NetworkNamespace,
): string {
  const { now } = conntrack(ns);
  const { output } = request;
  const format = formatOf(request, ns);
  if (output.has("save")) return `${formatSavedEntry(saved, entry, now)}\n`;
  if (output.has("xml")) return `${formatXmlEntry(entry, now, format.labels)}\n`;
  return `${formatEntry(entry, now, format)}\n`;
}

function get(request: ConntrackRequest, ns: NetworkNamespace): ToolResult {
  const entry = findEntry(request, conntrack(ns));
  if (entry === undefined)
    return { code: 1, stdout: "", stderr: `${PREFIX}0 flow entries have been shown.\n` };
  const text = formatEntry(entry, conntrack(ns).now, { ...formatOf(request, ns), held: 1 });
  return done(`${text}\n`, "1 flow entries have been shown.");
}

function create(request: ConntrackRequest, ns: NetworkNamespace): ToolResult {
  const isNew = createEntry(request, conntrack(ns));
  if (request.command === "add") return done("", `${isNew ? 1 : 0} flow entries have been added.`);
  if (isNew) return done("", "1 flow entries have been created.");
  throw new ConntrackFailure("Operation failed: Such conntrack exists, try -U to update");
}

function update(given: ConntrackRequest, ns: NetworkNamespace): ToolResult {
  const request = withLabels(given, ns);
  const { updated, errors } = updateEntries(request, conntrack(ns));
  const format = { ...formatOf(request, ns), held: 1 };
  const lines = updated.map((entry) => `${formatEntry(entry, conntrack(ns).now, format)}\n`);
  return {
    code: lines.length === 0 ? 1 : 0,
    stdout: lines.join(""),
    stderr: `${errors}${PREFIX}${lines.length} flow entries have been updated.\n`,
  };
}

/** What is deleted is shown; nothing to delete is a failure. */
function remove(given: ConntrackRequest, ns: NetworkNamespace): ToolResult {
  const request = withLabels(given, ns);
  const lines: string[] = [];
  conntrack(ns).remove((entry) => {
    if (!request.filter(entry)) return false;
    lines.push(lineOf(entry, "-D", request, ns));
    return true;
  });
  const stderr = `${PREFIX}${lines.length} flow entries have been deleted.\n`;
  return { code: lines.length === 0 ? 1 : 0, stdout: lines.join(""), stderr };
}

function usage(message: string, warnings: string): ToolResult {
  return {
    code: 2,
    stdout: "",
    stderr: `${warnings}${PREFIX}${message}\nTry \`conntrack -h' or 'conntrack --help' for more information.\n`,
  };
}

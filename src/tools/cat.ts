import type { NetworkNamespace } from "../core/namespace.js";
import { formatProcExpectation } from "../netfilter/conntrack/expectation-text.js";
import { conntrack } from "../netfilter/conntrack/table.js";
import { formatProcEntry } from "../netfilter/conntrack/text.js";
import { formatSynproxyCounters } from "../netfilter/synproxy/state.js";
import type { Tool } from "./command.js";

/** The files of the kernel that hopwise tells, by their paths. */
const FILES: ReadonlyMap<string, (ns: NetworkNamespace) => readonly string[]> = new Map([
  [
    "/proc/net/nf_conntrack",
    (ns) => {
      const table = conntrack(ns);
      return [...table.entries()].map((entry) =>
        formatProcEntry(entry, table.now, table.settings.timeouts),
      );
    },
  ],
  ["/proc/net/stat/synproxy", formatSynproxyCounters],
  [
    "/proc/net/nf_conntrack_expect",
    (ns) => {
      const { expectations, now } = conntrack(ns);
      return expectations.entries().map((expectation) => formatProcExpectation(expectation, now));
    },
  ],
]);

/** `cat` of the kernel's own files about connections; it knows no others. */
export const cat: Tool = {
  name: "cat",

  run(args, { sim, ns: name, stdin }) {
    const ns = sim.namespaces.get(name ?? "");
    if (args.length === 0) return { code: 0, stdout: stdin, stderr: "" };
    const [stdout, stderr]: [string[], string[]] = [[], []];
    for (const path of args) {
      const read = FILES.get(path);
      if (ns === undefined || read === undefined)
        stderr.push(`cat: ${path}: No such file or directory\n`);
      else stdout.push(...read(ns).map((line) => `${line}\n`));
    }
    return { code: stderr.length === 0 ? 0 : 1, stdout: stdout.join(""), stderr: stderr.join("") };
  },
};

import { UserError } from "../base/errors.js";
import { readCommand, newSessionOptions } from "../netfilter/ipset/command.js";
import { SetRefusal } from "../netfilter/ipset/failure.js";
import { IpsetSession, LineRefusal } from "../netfilter/ipset/session.js";
import type { Tool, ToolContext, ToolResult } from "./command.js";

/**
 * `ipset`: sets of addresses, nets, ports. A `restore` whose input is a file of the user's (`stdinName`) throws an error
 * placed in that file and knows types that the pinned kernel lacks; input without a name fails as in a shell.
 */
export const ipset: Tool = {
  name: "ipset",
  run(args, context) {
    const { sim, ns: name, stdin, stdinName } = context;
    const ns = name === undefined ? undefined : sim.namespaces.get(name);
    if (ns === undefined)
      throw new UserError("TOOL_NO_NAMESPACE", "sets belong to a namespace: name one");
    const session = new IpsetSession(ns, stdinName !== undefined);
    if (stdinName === undefined || !isRestore(args)) return session.run(args, stdin);
    return restoreFile(session, args, context, stdinName);
  },
};

function isRestore(args: readonly string[]): boolean {
  try {
    const options = newSessionOptions();
    return readCommand(args, options, { restoring: false, lenient: true }).kind === "restore";
  } catch (error) {
    if (error instanceof SetRefusal) return false;
    throw error;
  }
}

/** Errors point into the file. */
function restoreFile(
  session: IpsetSession,
  args: readonly string[],
  { stdin }: ToolContext,
  file: string,
): ToolResult {
  let at = 1;
  // Reads the options of the command itself.
  session.take(args);
  try {
    return session.restoreLines(stdin, (line) => (at = line));
  } catch (error) {
    if (!(error instanceof SetRefusal)) throw error;
    const line = error instanceof LineRefusal ? error.line : at;
    const sourceLine = stdin.split("\n")[line - 1] ?? "";
    const found = error.word === undefined ? -1 : sourceLine.indexOf(error.word);
    throw new UserError(error.usage ? "IPSET_SYNTAX" : "IPSET_REFUSED", error.message, {
      place: { file, line, column: Math.max(0, found) + 1 },
      sourceLine,
      length: found < 0 ? Math.max(1, sourceLine.length) : Math.max(1, error.word?.length ?? 1),
      help: error.help,
    });
  }
}

import type { LabCommand } from "../tools/command.js";
import { shellQuote } from "./command-line.js";
import { type Lab, usesIpv6 } from "./lab.js";

export interface ShellOptions {
  /** Put before every namespace's name, so that several labs can stand side by side. */
  readonly prefix?: string | undefined;
  /** Namespaces that what follows the script makes: `down` takes them away too. */
  readonly later?: readonly string[] | undefined;
}

/** A namespace's name as `ip netns` takes it: `shop/web-0` is `shop.web-0`. */
export function netnsName(ns: string, prefix = ""): string {
  return `${prefix}${ns.replaceAll("/", ".")}`;
}

/**
 * The lab as a POSIX shell script for a real Linux: it makes the namespaces, runs the lab's commands in them and stops
 * at the first that fails. Nothing outside its own namespaces is touched.
 */
export function labScript(lab: Lab, options: ShellOptions = {}): string {
  const prefix = options.prefix ?? "";
  const lines = [
    "#!/bin/sh",
    `# ${comment(lab.name)}: ${comment(lab.about)}`,
    "# Made by hopwise export. Run as root; `sh THIS down` takes everything away again.",
    "set -eu",
    "",
    'if [ "${1:-up}" = down ]; then',
    ...[...lab.namespaces, ...(options.later ?? [])].map(
      (ns) => `  ip netns del ${shellQuote(netnsName(ns, prefix))} 2>/dev/null || true`,
    ),
    "  exit 0",
    "fi",
    "",
    ...lab.namespaces.flatMap((ns) => makeNamespace(netnsName(ns, prefix), usesIpv6(lab))),
    "",
    ...lab.commands.flatMap((command) => commandLines(command, prefix)),
  ];
  return `${lines.join("\n")}\n`;
}

/** IPv6 is off unless the lab uses it, so that only what the lab is about is on the wire. */
export function makeNamespace(name: string, ipv6: boolean): readonly string[] {
  const off = ipv6 ? 0 : 1;
  const quoted = shellQuote(name);
  return [
    `ip netns add ${quoted}`,
    `ip netns exec ${quoted} sysctl -qw net.ipv6.conf.all.disable_ipv6=${off} net.ipv6.conf.default.disable_ipv6=${off}`,
    `ip -n ${quoted} link set lo up`,
  ];
}

export function commandLines(command: LabCommand, prefix: string): readonly string[] {
  const words = command.argv.map((word, index) =>
    command.argv[0] === "ip" && command.argv[index - 1] === "netns"
      ? netnsName(word, prefix)
      : word,
  );
  const inside =
    command.ns === undefined ? "" : `ip netns exec ${shellQuote(netnsName(command.ns, prefix))} `;
  const line = inside + words.map(shellQuote).join(" ");
  if (command.stdin === undefined) return [line];
  const end = heredocEnd(command.stdin);
  return [`${line} <<'${end}'`, command.stdin.replace(/\n$/, ""), end];
}

/** A line that the text does not hold. */
function heredocEnd(text: string): string {
  let end = "EOF";
  while (text.split("\n").includes(end)) end += "_";
  return end;
}

function comment(text: string): string {
  return text.replaceAll(/\s+/g, " ");
}

import { parseLab } from "../../src/lab/lab-file.js";
import type { Lab } from "../../src/lab/lab.js";

/** One command of a lab as its file has it. `rules` is what iptables-restore reads, line by line. */
export interface DraftCommand {
  readonly ns: string;
  readonly run: string;
  readonly rules?: readonly string[];
}

export interface DraftProbe {
  readonly from: string;
  readonly to: string;
  readonly proto: "tcp" | "udp" | "icmp";
  readonly port: number;
  readonly sport: number;
  readonly ttl?: number;
  readonly data?: string;
  /** A frame in hexadecimal that leaves by a device as it is, instead of a request. */
  readonly frame?: string;
  readonly dev?: string;
}

/** A lab in pieces that can be left out one by one. */
export interface Draft {
  readonly name: string;
  readonly about: string;
  readonly namespaces: readonly string[];
  /** Pairs of NAMESPACE:DEVICE. */
  readonly links: readonly (readonly [string, string])[];
  readonly commands: readonly DraftCommand[];
  readonly listen: readonly { readonly ns: string; readonly what: string }[];
  readonly probes: readonly DraftProbe[];
}

/** The draft as a lab file. */
export function labFile(draft: Draft): string {
  const lines = [
    ...draft.links.map(([a, b]) => `# ${a} --- ${b}`),
    `lab: ${draft.name}`,
    `about: ${JSON.stringify(draft.about)}`,
    `namespaces: [${draft.namespaces.join(", ")}]`,
    ...section(
      "links",
      draft.links.map(([a, b]) => [`- ["${a}", "${b}"]`]),
    ),
    ...section("commands", draft.commands.map(commandLines)),
    ...section(
      "listen",
      draft.listen.map(({ ns, what }) => [`- ${ns}: ${what}`]),
    ),
    ...section(
      "probes",
      draft.probes.map((probe) => [`- {${probeFields(probe)}}`]),
    ),
  ];
  return `${lines.join("\n")}\n`;
}

/** The lab that the file of a draft describes. */
export function labOf(draft: Draft): Lab {
  return parseLab(`${draft.name}.yaml`, labFile(draft));
}

function section(name: string, entries: readonly (readonly string[])[]): readonly string[] {
  return entries.length === 0 ? [] : [`${name}:`, ...entries.flat().map((line) => `  ${line}`)];
}

function commandLines({ ns, run, rules }: DraftCommand): readonly string[] {
  if (rules === undefined) return [`- ${ns}: ${run}`];
  return [`- ${ns}:`, `    run: ${run}`, "    stdin: |", ...rules.map((line) => `      ${line}`)];
}

function probeFields(probe: DraftProbe): string {
  const { from, to, proto, port, sport, ttl, data, frame, dev } = probe;
  if (frame !== undefined) return `from: ${from}, dev: ${dev}, frame: "${frame}"`;
  const fields = [`from: ${from}`, `to: ${to}`, `proto: ${proto}`];
  if (proto !== "icmp") fields.push(`port: ${port}`);
  fields.push(`sport: ${sport}`);
  if (ttl !== undefined) fields.push(`ttl: ${ttl}`);
  if (data !== undefined) fields.push(`data: ${JSON.stringify(data)}`);
  return fields.join(", ");
}

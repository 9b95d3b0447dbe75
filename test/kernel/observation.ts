import type { Lab, Probe } from "../../src/lab/lab.js";
import { decodeFrame } from "../../src/wire/frame.js";
import {
  ICMPV6_MGM_REDUCTION,
  ICMPV6_MGM_REPORT,
  ICMPV6_MLD2_REPORT,
  NDISC_ROUTER_SOLICITATION,
} from "../../src/wire/icmpv6.js";
import { getIpv6, type IpAddress } from "../../src/wire/ip.js";
import { decodeMldRecords } from "../../src/wire/mld.js";
import { Normaliser, type SeenFrame } from "./normalise.js";

/** A probe with how long its program waits for each answer, in seconds, and bytes to send instead of text. */
export interface ProbeSpec extends Probe {
  readonly limit: number;
  readonly dataHex?: string | undefined;
}

/** What one run of a lab left behind, on the real kernel or in the emulator. */
export interface Observation {
  /** What each probe's program was told. */
  readonly results: readonly string[];
  /** Frames on every interface, in order of time. */
  readonly frames: readonly SeenFrame[];
  /** `iptables-save -c`, by namespace. */
  readonly rules: ReadonlyMap<string, string>;
  /** The same of ip6tables, in the variants that the commands of a lab name; undefined where nobody asked. */
  readonly rules6?: ReadonlyMap<string, string> | undefined;
  /** `conntrack -L`, by namespace. */
  readonly conntrack: ReadonlyMap<string, string>;
  /** `ip neigh show`, by namespace. */
  readonly neighbours: ReadonlyMap<string, string>;
  /** `ipset save`, by namespace; undefined where nobody asked. */
  readonly sets?: ReadonlyMap<string, string> | undefined;
  /** What each command under `show` printed; undefined where labs have none. */
  readonly shown?: readonly string[] | undefined;
}

/** The programs that print the ip6tables rules of a lab: none for a lab without. */
export function savers6(lab: Lab): readonly string[] {
  const names = lab.commands.map(({ argv }) => argv[0] ?? "");
  const variants = names.flatMap(
    (name) => /^ip6tables(-legacy)?(-restore)?$/.exec(name)?.[0] ?? [],
  );
  return ["", "-legacy"]
    .filter((variant) => variants.some((name) => name.includes("-legacy") === (variant !== "")))
    .map((variant) => `ip6tables${variant}-save`);
}

/** An observation as text that compares: one section a thing, what is random or timed left out. */
export function comparable(seen: Observation, lab: Lab, probes: readonly Probe[]): string {
  const normaliser = new Normaliser(portsOf(lab, probes));
  const byDevice = new Map<string, string[]>();
  const groups = new Set([
    ...lab.probes.filter(({ protocol }) => protocol === "join").map(({ address }) => address),
    ...lab.listeners.flatMap((one) => (one.groups ?? []).map(({ group }) => group)),
  ]);
  for (const frame of seen.frames.filter((one) => !isChatter(one, groups))) {
    const key = `${frame.ns} ${frame.dev}`;
    byDevice.set(key, [...(byDevice.get(key) ?? []), normaliser.line(frame)]);
  }
  const sections: string[] = seen.results.map((result, index) => `probe ${index + 1}: ${result}`);
  // Loopback cannot switch its checksum offload off, and what it sends it receives.
  for (const [key, lines] of byDevice) {
    if (!key.endsWith(" lo")) continue;
    byDevice.set(
      key,
      lines
        .filter((line) => line.startsWith("tx "))
        .map((line) => line.replace(/ bad checksum$/, "")),
    );
  }
  // Nor can a macvlan, which leaves the checksum to the device below (called mv… in the labs).
  for (const [key, lines] of byDevice)
    if (/ mv\w*$/.test(key))
      byDevice.set(
        key,
        lines.map((line) => line.replace(/ bad checksum$/, "")),
      );
  for (const key of [...byDevice.keys()].toSorted())
    sections.push(`\nframes ${key}`, ...(byDevice.get(key) ?? []));
  sections.push(
    ...tables("rules", seen.rules, ruleLines),
    ...tables("rules6", seen.rules6 ?? new Map<string, string>(), ruleLines),
    ...tables("sets", seen.sets ?? new Map<string, string>(), setLines),
    ...tables("conntrack", seen.conntrack, (text) => conntrackLines(text, normaliser)),
    ...tables("neighbours", seen.neighbours, neighbourLines),
    ...(lab.show ?? []).flatMap(({ ns = "", argv }, index) => [
      `\n${ns}# ${argv.join(" ")}`,
      ...shownLines(seen.shown?.[index] ?? ""),
    ]),
  );
  return `${sections.join("\n")}\n`;
}

/** Where bridges tell each other of their tree, at times of their own. */
const BRIDGE_GROUP = 0x0180_c200_0000;

/** What bridges and IPv6 hosts tell and ask their links at times of their own: router solicitations, and reports of groups that no program is in. */
function isChatter({ bytes }: SeenFrame, groups: ReadonlySet<IpAddress>): boolean {
  const decoded = decodeFrame(bytes);
  if (!decoded.ok) return false;
  const { transport, payload, link } = decoded.value;
  if (link.destination === BRIDGE_GROUP) return true;
  if (transport?.kind !== "icmpv6" || !CHATTER.has(transport.type)) return false;
  if (transport.type === ICMPV6_MLD2_REPORT) {
    const records = decodeMldRecords(transport.rest & 0xffff, payload);
    return !records.ok || !records.value.some(({ group }) => groups.has(group));
  }
  return payload.length < 16 || !groups.has(getIpv6(payload, 0));
}

const CHATTER: ReadonlySet<number> = new Set([
  ICMPV6_MGM_REPORT,
  ICMPV6_MGM_REDUCTION,
  ICMPV6_MLD2_REPORT,
  NDISC_ROUTER_SOLICITATION,
]);

/** Every number that a lab's command names and that may be a port: a small one where a port can stand, for NAT draws small ports too. */
const PORT = /(?<=ports? |:|,|-)\d+(?![.\d])|(?<![./\d])\d{4,}(?![.\d])/g;

/** Every port that the lab's own text names. */
function portsOf(lab: Lab, probes: readonly Probe[]): ReadonlySet<number> {
  const named = lab.commands
    .flatMap(({ argv, stdin }) => `${argv.join(" ")} ${stdin ?? ""}`.match(PORT) ?? [])
    .map(Number);
  return new Set([
    ...named,
    ...lab.listeners.map(({ port }) => port),
    ...probes.flatMap(({ port, sourcePort }) => [port, sourcePort]),
  ]);
}

function tables(
  title: string,
  texts: ReadonlyMap<string, string>,
  lines: (text: string) => readonly string[],
): readonly string[] {
  return [...texts].flatMap(([ns, text]) => {
    const found = lines(text);
    return found.length === 0 ? [] : [`\n${title} ${ns}`, ...found];
  });
}

/** What is left of a lifetime runs with the clock; indexes and MAC addresses of ends that nobody named are chance. */
function shownLines(text: string): readonly string[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) =>
      line
        .trimEnd()
        .replace(/^\d+ (?=(?:l3)?proto ?=)|(?<=^(?:ipv[46] +\d+ )?\w+ +\d+ )\d+ (?=.*src=)/, "T ")
        .replaceAll(/\b\d+(?=sec\b)|\bhw\d+-\d+-/g, (word) => (word.startsWith("hw") ? "" : "N")),
    );
}

/** Comments hold the date; a rule that takes reports of groups aside counts what hosts tell at times of their own. */
function ruleLines(text: string): readonly string[] {
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) =>
      line.replace(/^\[\d+:\d+\](?=.* --icmpv6-type 143 -j (?:ACCEPT|DROP)$)/, "[reports]"),
    );
}

/** Seeds of hashes are random, and the order with them; timeouts run. */
function setLines(text: string): readonly string[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.replace(/ initval \w+/, "").replace(/ timeout [1-9]\d*/, " timeout T"))
    .toSorted();
}

/** Timeouts run; the order is that of a random hash. */
function conntrackLines(text: string, normaliser: Normaliser): readonly string[] {
  const lines = text
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("conntrack v"))
    .map((line) =>
      line
        .replace(/^(\S+\s+\d+) \d+/, "$1")
        .replaceAll(/\s+/g, " ")
        .replace(/ use=\d+/, "")
        .trim(),
    )
    .map((line) => (/ dport=(8472|4789) /.test(line) ? tunnelLine(line) : line))
    .map((line) =>
      line.replaceAll(
        /\b([sd]port)=(\d+)/g,
        (_, side: string, port: string) => `${side}=${normaliser.port(Number(port))}`,
      ),
    )
    .toSorted();
  return [...new Set(lines)];
}

/** A tunnel has as many entries as hashed source ports, which differ by chance: they count as one. */
function tunnelLine(line: string): string {
  return line.replace(/\b(sport=)\d+( dport=(?:8472|4789) .*\bdport=)\d+/, "$1hashed$2hashed");
}

/** REACHABLE and DELAY turn into STALE by the clock; what counts is whether the address is known. */
function neighbourLines(text: string): readonly string[] {
  return (
    text
      .split("\n")
      .map((line) => line.trim().replace(/\b(REACHABLE|DELAY|STALE|PROBE)$/, "VALID"))
      // The kernel's collector takes FAILED entries away every now and then.
      .filter((line) => line !== "" && !/ (FAILED|INCOMPLETE)$/.test(line))
      .toSorted()
  );
}

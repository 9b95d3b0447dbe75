import type { Micros } from "../../sim/time.js";
import { compareElements, formatElement } from "./element.js";
import { type ExtensionKinds, secondsLeft, type SkbInfo } from "./extensions.js";
import type { NamedSet } from "./sets.js";
import type { Listed } from "./store.js";

export type OutputMode = "plain" | "save" | "xml";

/** How sets are listed. */
export interface ListOptions {
  readonly mode: OutputMode;
  /** `-n`: names alone. */
  readonly names: boolean;
  /** `-t`: no members. */
  readonly terse: boolean;
  readonly sorted: boolean;
  readonly now: Micros;
  readonly references: (name: string) => number;
}

/** What list or save prints of some sets. Mirrors lib/session.c and lib/print.c. */
export function formatSets(sets: readonly NamedSet[], options: ListOptions): string {
  switch (options.mode) {
    case "save":
      if (options.names) return namesOf(sets);
      return sets.map((named) => formatSave(named, options)).join("");
    case "plain":
      if (options.names) return namesOf(sets);
      return sets.map((named) => formatPlain(named, options)).join("\n");
    case "xml":
      return `<ipsets>\n${sets.map((named) => formatXml(named, options)).join("")}</ipsets>\n`;
  }
}

function namesOf(sets: readonly NamedSet[]): string {
  return sets.map(({ name }) => `${name}\n`).join("");
}

function membersOf({ set }: NamedSet, { now, sorted }: ListOptions): readonly Listed[] {
  const members = [...set.store.entries(now)];
  return sorted && set.type.method === "hash" ? members.toSorted(compareElements) : members;
}

function formatSave(named: NamedSet, options: ListOptions): string {
  const { name, set } = named;
  const lines = [`create ${name} ${set.type.name} ${headerText(named)}`];
  if (!options.terse)
    for (const member of membersOf(named, options))
      lines.push(`add ${name} ${memberText(member, named, options.now)}`);
  return lines.map((line) => `${line}\n`).join("");
}

function headerText({ set }: NamedSet): string {
  return set
    .header()
    .map(([option, value]) => (value === undefined ? option : `${option} ${value}`))
    .join(" ");
}

function formatPlain(named: NamedSet, options: ListOptions): string {
  const { name, set } = named;
  const lines = [
    `Name: ${name}`,
    `Type: ${set.type.name}`,
    `Revision: ${set.type.revision}`,
    `Header: ${headerText(named)}`,
    `Size in memory: ${set.store.bytes()}`,
    `References: ${options.references(name)}`,
    `Number of entries: ${set.store.count(options.now)}`,
  ];
  if (!options.terse) {
    lines.push("Members:");
    for (const member of membersOf(named, options))
      lines.push(memberText(member, named, options.now));
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** One field of a member behind its element. A flag has no value. */
type Field = readonly [name: string, value: string | undefined];

function memberText(member: Listed, { set }: NamedSet, now: Micros): string {
  const fields = fieldsOf(member, set.kinds, now).map(([name, value]) =>
    value === undefined ? name : `${name} ${name === "comment" ? `"${value}"` : value}`,
  );
  return [formatElement(member.element, set.type), ...fields].join(" ");
}

function fieldsOf(
  { element, nomatch, extensions }: Listed,
  kinds: ExtensionKinds,
  now: Micros,
): readonly Field[] {
  const fields: Field[] = [];
  if (element.wildcard) fields.push(["wildcard", undefined]);
  if (kinds.timeout !== undefined) fields.push(["timeout", String(secondsLeft(extensions, now))]);
  if (nomatch) fields.push(["nomatch", undefined]);
  if (kinds.counters)
    fields.push(["packets", String(extensions.packets)], ["bytes", String(extensions.bytes)]);
  if (extensions.comment !== "") fields.push(["comment", extensions.comment]);
  return kinds.skbinfo ? [...fields, ...skbFields(extensions.skbinfo)] : fields;
}

function skbFields({ mark, mask, priority, queue }: SkbInfo): readonly Field[] {
  const hex = (value: number): string => value.toString(16);
  const fields: Field[] = [];
  if (mark !== 0 || mask !== 0)
    fields.push(["skbmark", `0x${hex(mark)}${mask === 0xffff_ffff ? "" : `/0x${hex(mask)}`}`]);
  if (priority !== 0) fields.push(["skbprio", `${hex(priority >>> 16)}:${hex(priority & 0xffff)}`]);
  if (queue !== 0) fields.push(["skbqueue", String(queue)]);
  return fields;
}

function formatXml(named: NamedSet, options: ListOptions): string {
  const { name, set } = named;
  if (options.names) return `<ipset name="${escapeXml(name)}"/>\n`;
  const header = set
    .header()
    .map(([option, value]) => xmlField([option, value]))
    .join("");
  const head = [
    `<ipset name="${escapeXml(name)}">`,
    `<type>${set.type.name}</type>`,
    `<revision>${set.type.revision}</revision>`,
    `<header>${header}`,
    `<memsize>${set.store.bytes()}</memsize>`,
    `<references>${options.references(name)}</references>`,
    `<numentries>${set.store.count(options.now)}</numentries>`,
    "</header>",
  ];
  const members = options.terse
    ? []
    : [
        "<members>",
        ...membersOf(named, options).map((member) => xmlMember(member, named, options.now)),
        "</members>",
      ];
  return `${[...head, ...members, "</ipset>"].join("\n")}\n`;
}

function xmlMember(member: Listed, { set }: NamedSet, now: Micros): string {
  const fields = fieldsOf(member, set.kinds, now).map(([name, value]) =>
    xmlField([name, name === "comment" && value !== undefined ? `"${escapeXml(value)}"` : value]),
  );
  return `<member><elem>${escapeXml(formatElement(member.element, set.type))}</elem>${fields.join("")}</member>`;
}

function xmlField([name, value]: Field): string {
  return value === undefined ? `<${name}/>` : `<${name}>${value}</${name}>`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

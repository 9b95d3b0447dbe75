import { UserError } from "../../base/errors.js";
import { nearest } from "../../base/nearest.js";
import type { Simulation } from "../../core/simulation.js";
import { rulesetOf } from "../../netfilter/iptables/apply.js";
import { allRules } from "../../netfilter/iptables/ruleset.js";
import { ruleText } from "../../netfilter/iptables/save.js";
import type { LabCommand } from "../../tools/command.js";
import { splitCommandLine } from "../command-line.js";

/** A command of a what-if, run when everything else is built. */
export interface ExtraCommand extends LabCommand {
  readonly ns: string;
  /** The device that it is about: where that was not built, no packet comes by it. */
  readonly device: string | undefined;
}

/** What ports of a bridge are told, by the names that sysfs and `bridge link` give the switches. */
const PORT_FIELDS: ReadonlyMap<string, string> = new Map([
  ["hairpin_mode", "hairpin"],
  ["hairpin", "hairpin"],
  ["learning", "learning"],
  ["unicast_flood", "flood"],
  ["flood", "flood"],
  ["multicast_flood", "mcast_flood"],
  ["mcast_flood", "mcast_flood"],
  ["broadcast_flood", "bcast_flood"],
  ["bcast_flood", "bcast_flood"],
  ["isolated", "isolated"],
]);

const FIELDS: readonly string[] = [...PORT_FIELDS.keys(), "mtu", "up", "master", "txqueuelen"];

/**
 * `worker-1.veth77a1.hairpin_mode=off`, `worker-1.eth0.mtu=1400`, `worker-1.net.ipv4.ip_forward=0`: a setting of a namespace
 * as the command that makes it. Throws UserError for a namespace, device or field that is not there.
 */
export function nodeSetting(
  text: string,
  namespaces: readonly string[],
  build: (ns: string) => Simulation,
): ExtraCommand {
  const [, target = "", value] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
  if (value === undefined || value === "")
    throw new UserError("SET_SYNTAX", `--set ${text} gives no value`, { help: FORMS });
  // Names of nodes have dots too: the longest that is there counts.
  const ns = namespaces
    .filter((name) => target.startsWith(`${name}.`))
    .toSorted((a, b) => b.length - a.length)[0];
  if (ns === undefined) throw unknownNamespace(text, target, namespaces);
  const field = target.slice(ns.length + 1);
  const device = /^(net|kernel|fs|vm)\./.test(field) ? undefined : deviceIn(field, ns, text, build);
  const argv =
    device === undefined
      ? ["sysctl", "-w", `${field}=${value}`]
      : deviceCommand(device, field.slice(device.length + 1), value, text);
  const named = /^net\.ipv[46]\.(?:conf|neigh)\.([^.]+)\./.exec(field)?.[1];
  const about = named === "all" || named === "default" ? undefined : named;
  return { ns, argv, device: device ?? about };
}

const FORMS =
  "say NODE.DEVICE.FIELD=VALUE, NODE.net.ipv4.NAME=VALUE, or an object's field: svc/NS/NAME.FIELD=VALUE";

function deviceIn(
  field: string,
  ns: string,
  text: string,
  build: (ns: string) => Simulation,
): string {
  const dot = field.lastIndexOf(".");
  const name = dot < 0 ? field : field.slice(0, dot);
  const known = [...(build(ns).namespaces.get(ns)?.devices.keys() ?? [])];
  if (dot >= 0 && known.includes(name)) return name;
  const near = nearest(name, known);
  throw new UserError("SET_DEVICE", `--set ${text}: ${ns} has no device "${name}"`, {
    help: near === undefined ? `it has ${known.slice(0, 20).join(", ")}` : `did you mean ${near}?`,
  });
}

function deviceCommand(
  device: string,
  field: string,
  value: string,
  text: string,
): readonly string[] {
  const option = PORT_FIELDS.get(field);
  if (option !== undefined)
    return ["bridge", "link", "set", "dev", device, option, onOff(value, text)];
  if (field === "up")
    return ["ip", "link", "set", device, onOff(value, text) === "on" ? "up" : "down"];
  if (field === "master")
    return ["ip", "link", "set", device, ...(value === "none" ? ["nomaster"] : ["master", value])];
  if (field === "mtu" || field === "txqueuelen") return ["ip", "link", "set", device, field, value];
  const near = nearest(field, FIELDS);
  throw new UserError("SET_FIELD", `--set ${text}: a device has no "${field}" that can be set`, {
    help: near === undefined ? `it has ${FIELDS.join(", ")}` : `did you mean "${near}"?`,
  });
}

function onOff(value: string, text: string): "on" | "off" {
  if (/^(on|1|true|yes)$/i.test(value)) return "on";
  if (/^(off|0|false|no)$/i.test(value)) return "off";
  throw new UserError("SET_VALUE", `--set ${text}: it is on or off, not "${value}"`);
}

function unknownNamespace(text: string, target: string, known: readonly string[]): UserError {
  const near = nearest(target.split(".")[0] ?? "", known);
  return new UserError("SET_SYNTAX", `--set ${text} is about no node, pod or object`, {
    help: near === undefined ? FORMS : `did you mean ${near}.…?`,
  });
}

/**
 * `worker-2 filter FORWARD[5]` as a verdict names it (slashes may stand for the spaces, `ip6` before the table is ip6tables'),
 * or `worker-2.rules:14` as its place: the command that deletes the rule. Undefined for a text of another form. Throws UserError for a rule that is not there.
 */
export function ruleDeletion(
  text: string,
  namespaces: readonly string[],
  build: (ns: string) => Simulation,
): ExtraCommand | undefined {
  const name = text.replace(/^rule[/ :]/, "");
  const [, ns = "", six, table = "", chain = "", number = ""] =
    /^(.+?)[/ ](ip6[/ ])?(filter|nat|mangle|raw|security)[/ ]([^[\]]+)\[(\d{1,7})\]$/.exec(name) ??
    [];
  if (ns !== "") {
    if (!namespaces.includes(ns)) throw noNamespace(text, ns, namespaces);
    const tool = six === undefined ? "iptables" : "ip6tables";
    return { ns, argv: [tool, "-t", table, "-D", chain, number], device: undefined };
  }
  const [, file, line] = /^(.+?):(\d{1,9})(?::\d+)?$/.exec(name) ?? [];
  if (file === undefined) return undefined;
  for (const one of namespaces) {
    const found = deletionAt(build(one), one, file, Number(line));
    if (found !== undefined) return found;
  }
  throw new UserError("RULE_UNKNOWN", `no rule stands at ${file}:${line ?? ""}`, {
    help: "a trace names rules as FILE:LINE:COLUMN; hopwise show rules NODE prints them",
  });
}

/** By its own words: its number may be another one where fewer pods are built. */
function deletionAt(
  sim: Simulation,
  ns: string,
  file: string,
  line: number,
): ExtraCommand | undefined {
  const found = sim.namespaces.get(ns);
  if (found === undefined) return undefined;
  for (const family of ["ipv4", "ipv6"] as const)
    for (const variant of ["nft", "legacy"] as const)
      for (const { table, chain, rule } of allRules(rulesetOf(found, family, variant))) {
        const { place } = rule.spec;
        if (place?.file !== file || place.line !== line) continue;
        const words = splitCommandLine(
          ruleText(chain.name, rule, variant).replaceAll(/[$`;|&<>]/g, "\\$&"),
          {},
        );
        const name = family === "ipv4" ? "iptables" : "ip6tables";
        const tool = variant === "legacy" ? `${name}-legacy` : name;
        return { ns, argv: [tool, "-t", table.name, "-D", ...words.slice(1)], device: undefined };
      }
  return undefined;
}

function noNamespace(text: string, ns: string, known: readonly string[]): UserError {
  const near = nearest(ns, known);
  return new UserError("RULE_UNKNOWN", `--without ${text}: no node "${ns}"`, {
    help:
      near === undefined ? `there are ${known.slice(0, 8).join(", ")}` : `did you mean ${near}?`,
  });
}

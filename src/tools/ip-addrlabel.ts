import type { NetDevice } from "../core/device.js";
import { bumpRouting } from "../inet/generation.js";
import { type AddressLabel, addressLabels } from "../inet/ipv6/address-labels.js";
import {
  formatIpv6,
  IPV6_ANY,
  type Ipv6Prefix,
  parseIpv4Prefix,
  parseIpv6Prefix,
} from "../wire/ip.js";
import { rtnetlink, ToolFailure } from "./failure.js";
import { type IpContext, namespaceOf } from "./ip-context.js";
import { abbreviates, parseNumber, type Words, wrongArgument } from "./words.js";

/** `ip addrlabel`: which addresses are of one kind, for the choice of a source. Mirrors iproute2's ip/ipaddrlabel.c:do_ipaddrlabel(). */
export function ipAddrLabel(words: Words, context: IpContext): string {
  const command = words.shift() ?? "list";
  if (["list", "show", "lst"].some((name) => abbreviates(command, name)))
    return show(words, context);
  if (abbreviates(command, "add")) return change(words, context, "add");
  if (abbreviates(command, "delete")) return change(words, context, "remove");
  if (abbreviates(command, "flush")) return flush(words, context);
  throw new ToolFailure(255, `Command "${command}" is unknown, try "ip addrlabel help".\n`);
}

function show(words: Words, context: IpContext): string {
  if (!words.isEmpty)
    throw new ToolFailure(1, '"ip addrlabel show" does not take any arguments.\n');
  return addressLabels(namespaceOf(context))
    .list.map(({ prefix: { address, length }, dev, label }) => {
      const on = dev === undefined ? "" : `dev ${dev.name} `;
      return `prefix ${formatIpv6(address)}/${length} ${on}label ${label} \n`;
    })
    .join("");
}

function flush(words: Words, context: IpContext): string {
  if (!words.isEmpty)
    throw new ToolFailure(1, '"ip addrlabel flush" does not allow extra arguments\n');
  const ns = namespaceOf(context);
  addressLabels(ns).flush();
  bumpRouting(ns);
  return "";
}

function change(words: Words, context: IpContext, verb: "add" | "remove"): string {
  const ns = namespaceOf(context);
  const refused = addressLabels(ns)[verb](readLabel(words, context));
  if (refused !== undefined) throw rtnetlink(refused);
  bumpRouting(ns);
  return "";
}

/** Words that are none are passed over. Mirrors ipaddrlabel_modify(). */
function readLabel(words: Words, context: IpContext): AddressLabel {
  let prefix: Ipv6Prefix | "ipv4" | undefined;
  let dev: NetDevice | undefined;
  let label: number | undefined;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "prefix") prefix = readAnyPrefix(words.value());
    else if (word === "dev") dev = readDevice(words.value(), context);
    else if (word === "label") label = readValue(words.value());
  }
  if (prefix === undefined) throw missing("prefix");
  if (label === undefined) throw missing("label");
  if (prefix === "ipv4") throw rtnetlink("Error: Attribute failed policy validation.");
  return { prefix, dev, label };
}

function readAnyPrefix(word: string): Ipv6Prefix | "ipv4" {
  if (["default", "any", "all"].includes(word)) return { address: IPV6_ANY, length: 0 };
  const prefix = parseIpv6Prefix(word);
  if (prefix !== undefined) return prefix;
  if (parseIpv4Prefix(word) !== undefined) return "ipv4";
  throw new ToolFailure(1, `Error: any valid prefix is expected rather than "${word}".\n`);
}

function readDevice(name: string, context: IpContext): NetDevice {
  const dev = namespaceOf(context).devices.get(name);
  if (dev === undefined) throw wrongArgument(name, "dev is invalid\n");
  return dev;
}

function readValue(word: string): number {
  const label = parseNumber(word);
  if (label === undefined || label >= 0xffff_ffff) throw wrongArgument(word, "label is invalid\n");
  return label;
}

function missing(what: string): ToolFailure {
  return new ToolFailure(1, `Not enough information: "${what}" argument is required.\n`);
}

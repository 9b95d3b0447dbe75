import { UserError } from "../../base/errors.js";
import { formatIp, type IpAddress, ipPrefixContains, parseIpv4, parseIpv6 } from "../../wire/ip.js";
import type { CableEnd, RecordedNode } from "./cables.js";
import { addressesOf } from "./devices.js";
import type { Outside } from "./outside.js";
import { addressOf, nodeAt, type RecordedLab } from "./recorded-lab.js";
import { unknownNode } from "./recorded-world.js";

/** Who sends in a world of dumps: a recorded namespace, or somebody beyond a device. */
export type RecordedSource =
  | { readonly kind: "inside"; readonly node: RecordedNode; readonly address: IpAddress }
  | {
      readonly kind: "outside";
      readonly address: IpAddress;
      readonly outside: Outside;
      readonly end: CableEnd;
    };

export interface RecordedDestination {
  readonly address: IpAddress;
  readonly port: number;
}

/** Reads DST: an address or a recorded node, with a port. Throws UserError. */
export function recordedDestination(
  { nodes }: RecordedLab,
  text: string,
  protocol: "tcp" | "udp" | "icmp",
): RecordedDestination {
  const [, scheme, bracketed, plain = "", digits] =
    /^(?:(https?):\/\/|node:|ip:)?(?:\[([^\]]+)\]|(.+?))(?::(\d+))?\/?$/.exec(text) ?? [];
  // The last group of an IPv6 address without brackets is no port.
  const whole = bracketed === undefined ? parseIpv6(text.replace(/^ip:/, "")) : undefined;
  const host = bracketed ?? plain;
  const port = whole === undefined ? digits : undefined;
  const address = whole ?? parseAddress(host) ?? nodeAddress(nodes, host);
  if (protocol === "icmp") return { address, port: 0 };
  const number = port === undefined ? { http: 80, https: 443 }[scheme ?? ""] : Number(port);
  if (number === undefined)
    throw new UserError("PORT_MISSING", `"${text}" names no port`, {
      help: `add one: ${text}:PORT, or --proto icmp`,
    });
  if (number < 1 || number > 65_535)
    throw new UserError("PORT_BAD", `"${port ?? ""}" in "${text}" is not a port`, {
      help: "a port is a number from 1 to 65535",
    });
  return { address, port: number };
}

function parseAddress(text: string): IpAddress | undefined {
  return parseIpv4(text) ?? parseIpv6(text);
}

function nodeAddress(nodes: readonly RecordedNode[], name: string): IpAddress {
  const node = nodeAt(nodes, name);
  const names = nodes.map(({ record }) => record.name);
  if (node === undefined) throw unknownNode(name, names);
  const address = addressOf(node);
  if (address === undefined)
    throw new UserError("NODE_NO_ADDRESS", `no address of ${name} was recorded`, {
      help: `add its \`ip -j addr\`, or --addr DEV=ADDRESS/LENGTH`,
    });
  return address;
}

/** Reads SRC and `--in`: who has the address, or by which device its packets come in. Throws UserError. */
export function recordedSource(
  recorded: RecordedLab,
  text: string,
  input: string | undefined,
): RecordedSource {
  const { nodes } = recorded;
  const name = text.replace(/^(node|ip):/, "");
  const node = nodeAt(nodes, name);
  const address = parseAddress(name);
  if (input !== undefined) {
    if (address === undefined)
      throw new UserError("SOURCE_ADDRESS", `with --in the sender is an address, not "${text}"`);
    return { kind: "outside", address, ...endNamed(recorded, input) };
  }
  if (node !== undefined)
    return { kind: "inside", node, address: address ?? nodeAddress(nodes, name) };
  if (address === undefined)
    throw unknownNode(
      name,
      nodes.map(({ record }) => record.name),
    );
  return { kind: "outside", address, ...endTowards(recorded, address) };
}

interface WayIn {
  readonly outside: Outside;
  readonly end: CableEnd;
}

function waysIn({ outsides }: RecordedLab): readonly WayIn[] {
  return outsides.flatMap((outside) => outside.ends.map((end) => ({ outside, end })));
}

function hasCarrier({ end: { device } }: WayIn): boolean {
  return device.running;
}

function wayText({ end: { node, device } }: WayIn): string {
  return `${node.record.name}:${device.name}`;
}

/** `eth0`, or `gw:eth0` where several nodes have one. */
function endNamed(recorded: RecordedLab, input: string): WayIn {
  const all = waysIn(recorded);
  const found = all.filter((way) => way.end.device.name === input || wayText(way) === input);
  const [first, second] = found;
  if (first === undefined)
    throw new UserError("IN_DEVICE", `no packet can come in by a device "${input}"`, {
      help:
        all.length === 0
          ? "every recorded device leads to another recorded one; leave --in out"
          : `there are ${listed(all)}; --addr ${input}=ADDRESS/LENGTH makes one`,
    });
  if (second !== undefined)
    throw new UserError("IN_AMBIGUOUS", `several nodes have a device "${input}"`, {
      help: `say which: ${listed(found)}`,
    });
  if (!hasCarrier(first))
    throw new UserError("IN_DOWN", `no packet can come in by ${wayText(first)}`, {
      help: "it was down, or had no carrier, when it was recorded",
    });
  return first;
}

/** Without `--in`: the only way in, the one whose network holds the sender, or the one that a default route names. */
function endTowards(recorded: RecordedLab, address: IpAddress): WayIn {
  const all = waysIn(recorded).filter(hasCarrier);
  const attached = all.filter(({ end }) =>
    addressesOf(end.device).some((prefix) => ipPrefixContains(prefix, address)),
  );
  const byDefault = all.filter(({ end: { node, device } }) =>
    ((typeof address === "bigint" ? node.record.routes6 : node.record.routes) ?? []).some(
      ({ destination, dev }) => destination === "default" && dev === device.name,
    ),
  );
  const chosen = [all, attached, byDefault].find((ways) => ways.length === 1)?.[0];
  if (chosen !== undefined) return chosen;
  throw new UserError("IN_MISSING", `by which device does ${formatIp(address)} come in?`, {
    help: all.length === 0 ? "no recorded device leads outside" : `say --in DEV: ${listed(all)}`,
  });
}

function listed(ways: readonly WayIn[]): string {
  const names = ways.map(wayText);
  return names.length <= 8 ? names.join(", ") : `${names.slice(0, 8).join(", ")}, …`;
}

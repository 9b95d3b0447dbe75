import { IPS_ASSURED, IPS_SEEN_REPLY, type Tuple } from "../../core/conntrack.js";
import type { Micros } from "../../sim/time.js";
import { formatIp } from "../../wire/ip.js";
import { IPPROTO_TCP, IPPROTO_UDP } from "../../wire/ipv4.js";
import type { Connection } from "./connection.js";
import { type LabelNames, labelsOf } from "./labels.js";
import { conntrackProtocol } from "./protocols.js";
import { IPPROTO_GRE } from "../../wire/gre.js";
import { IPPROTO_SCTP, IPPROTO_UDPLITE } from "../../wire/ports.js";
import { type Direction, ORIGINAL, REPLY } from "./tuple.js";

export const XML_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<conntrack>\n';
export const XML_TAIL = "</conntrack>\n";

/** One `<flow>` of `conntrack -L -o xml`. Mirrors libnetfilter_conntrack's __snprintf_conntrack_xml(). */
export function formatXmlEntry(
  entry: Connection,
  now: Micros,
  names: LabelNames | undefined,
): string {
  const helper = entry.ext?.help?.helper.name;
  return (
    "<flow>" +
    direction(entry, ORIGINAL) +
    direction(entry, REPLY) +
    `<meta direction="independent">${independent(entry, now, names)}</meta>` +
    (helper === undefined ? "" : tag("helper", helper)) +
    "</flow>"
  );
}

function tag(name: string, value: string | number): string {
  return `<${name}>${value}</${name}>`;
}

function direction(entry: Connection, which: Direction): string {
  const tuple = entry.tuple(which);
  const name = which === ORIGINAL ? "original" : "reply";
  const isIpv4 = typeof tuple.source === "number";
  const family = isIpv4 ? 'protonum="2" protoname="ipv4"' : 'protonum="10" protoname="ipv6"';
  const { name: protocol } = conntrackProtocol(tuple.protocol);
  const addresses = tag("src", formatIp(tuple.source)) + tag("dst", formatIp(tuple.destination));
  const counter = which === ORIGINAL ? entry.counters?.original : entry.counters?.reply;
  const zone = entry.zones.id !== 0 && entry.zones.directions === (which === ORIGINAL ? 1 : 2);
  return (
    `<meta direction="${name}"><layer3 ${family}>${addresses}</layer3>` +
    `<layer4 protonum="${tuple.protocol}" protoname="${protocol}">${ports(tuple)}</layer4>` +
    (zone ? tag("zone", entry.zones.id) : "") +
    (counter === undefined
      ? ""
      : tag("counters", tag("packets", counter.packets) + tag("bytes", counter.bytes))) +
    "</meta>"
  );
}

/** ICMP's type, code and id are not told in XML. */
function ports(tuple: Tuple): string {
  switch (tuple.protocol) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_SCTP:
    case IPPROTO_UDPLITE:
      return tag("sport", tuple.sourcePort) + tag("dport", tuple.destinationPort);
    case IPPROTO_GRE:
      return (
        tag("srckey", `0x${tuple.sourcePort.toString(16)}`) +
        tag("dstkey", `0x${tuple.destinationPort.toString(16)}`)
      );
    default:
      return "";
  }
}

function independent(entry: Connection, now: Micros, names: LabelNames | undefined): string {
  const { began, ended } = entry.ext ?? {};
  const shown =
    names === undefined ? [] : labelsOf(entry).flatMap((label) => names.byLabel.get(label) ?? []);
  const parts = [
    entry.state === undefined ? "" : tag("state", entry.state),
    tag("timeout", Math.max(0, Math.floor((entry.expires - now) / 1_000_000))),
    tag("mark", entry.mark),
    shown.length === 0 ? "" : tag("labels", shown.map((label) => tag("label", label)).join("")),
    entry.zones.id !== 0 && entry.zones.directions === 3 ? tag("zone", entry.zones.id) : "",
    tag("use", 1 + (entry.ext?.children ?? 0)),
    tag("id", entry.id),
    (entry.status & IPS_ASSURED) === 0 ? "" : "<assured/>",
    (entry.status & IPS_SEEN_REPLY) === 0 ? "<unreplied/>" : "",
    began === undefined
      ? ""
      : tag("deltatime", Math.floor((ended ?? now) / 1_000_000) - Math.floor(began / 1_000_000)),
  ];
  return parts.join("");
}

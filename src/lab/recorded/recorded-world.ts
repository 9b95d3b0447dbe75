import { UserError } from "../../base/errors.js";
import type { InputText } from "../../kube/load.js";
import { parseIpv4Prefix, parseIpv6Prefix } from "../../wire/ip.js";
import { nearest } from "../../base/nearest.js";
import type { Lab } from "../lab.js";
import { readNodeRecords } from "./dump-files.js";
import type { GivenAddress, NodeRecord } from "./node-record.js";
import { type RecordedLab, recordedLab } from "./recorded-lab.js";

/** A world of dumps alone: what nodes said of themselves, and nothing else. */
export interface RecordedParts {
  readonly records: readonly NodeRecord[];
  readonly recorded: RecordedLab;
  /** `recorded.lab`. */
  readonly lab: Lab;
}

/** Reads dumps and plans what is built from them. Throws UserError. */
export function readRecorded(
  name: string,
  inputs: readonly InputText[],
  addresses: readonly string[],
): RecordedParts {
  const records = readNodeRecords(inputs);
  checkDevices(records);
  const given = addresses.map((text) => parseGiven(text, records));
  const recorded = recordedLab(name, records, given);
  return { records, recorded, lab: recorded.lab };
}

/** `eth0=192.0.2.10/24`, `gw:eth0=192.0.2.10/24`. */
function parseGiven(text: string, records: readonly NodeRecord[]): GivenAddress {
  const [, node, dev = "", address = ""] =
    /^(?:([^:=]+):)?([^\s/:=]{1,15})=([\da-fA-F.:]+\/\d+)$/.exec(text) ?? [];
  const prefix = parseIpv4Prefix(address) ?? parseIpv6Prefix(address);
  if (prefix === undefined)
    throw new UserError("ADDR_SYNTAX", `"${text}" is not an address of a device`, {
      help: "--addr DEV=ADDRESS/LENGTH, or NODE:DEV=ADDRESS/LENGTH: --addr eth0=192.0.2.10/24",
    });
  const names = records.map((record) => record.name);
  if (node !== undefined && !names.includes(node)) throw unknownNode(node, names);
  if (node === undefined && records.length > 1)
    throw new UserError("ADDR_NODE", `"${text}" does not say on which node`, {
      help: `--addr NODE:${text}; the nodes are ${names.join(", ")}`,
    });
  return { node, dev, prefix };
}

export function unknownNode(name: string, names: readonly string[]): UserError {
  const near = nearest(name, names);
  const what = /^[\d.]+$/.test(name)
    ? `"${name}" is no address, and no node that was recorded`
    : `no node "${name}" among what was recorded`;
  return new UserError("NAME_UNKNOWN", what, {
    help: near === undefined ? `recorded: ${names.join(", ")}` : `did you mean ${near}?`,
  });
}

/** A route or neighbour over a device that the same node does not have comes from another node's dump. */
function checkDevices(records: readonly NodeRecord[]): void {
  for (const record of records) {
    const { links } = record;
    if (links === undefined) continue;
    const names = new Set(links.map((link) => link.name));
    const users = [
      ...(record.routes ?? []).map(({ dev, place }) => ({ dev, place, what: "a route" })),
      ...(record.neighbours ?? []).map(({ dev, place }) => ({ dev, place, what: "a neighbour" })),
      ...(record.routes6 ?? []).map(({ dev, place }) => ({ dev, place, what: "an IPv6 route" })),
      ...(record.neighbours6 ?? []).map(({ dev, place }) => ({
        dev,
        place,
        what: "an IPv6 neighbour",
      })),
      ...(record.fdb ?? []).map(({ dev, place }) => ({ dev, place, what: "a bridge entry" })),
      ...links.map(({ master, place }) => ({ dev: master, place, what: "a bridge port" })),
    ];
    const stray = users.find(({ dev }) => dev !== undefined && !names.has(dev));
    if (stray?.dev === undefined) continue;
    throw new UserError(
      "DUMP_MIXED",
      `${stray.what} of ${record.name} is about the device ${stray.dev}, and ${record.name} has none: are dumps of two nodes mixed up?`,
      { place: stray.place, help: `its devices are ${[...names].slice(0, 10).join(", ")}` },
    );
  }
}

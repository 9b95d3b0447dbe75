import { ipPrefixContains, isIpv6LinkLocal, prefixesOverlap } from "../../wire/ip.js";
import { netnsName } from "../shell.js";
import type { Device } from "./devices.js";
import type { NodeRecord } from "./node-record.js";

/** A node with its devices. */
export interface RecordedNode {
  readonly record: NodeRecord;
  readonly devices: readonly Device[];
}

/** One end of a cable. */
export interface CableEnd {
  readonly node: RecordedNode;
  readonly device: Device;
}

/** Cables whose two ends were recorded, and those that lead out of what was recorded. */
export interface Cables {
  readonly pairs: readonly (readonly [CableEnd, CableEnd])[];
  /** Ends on one segment: their networks overlap, so they are taken to reach each other. */
  readonly segments: readonly (readonly CableEnd[])[];
}

/** Finds out which devices are two ends of one veth, by the indexes and namespace ids that `ip link` gives. */
export function findCables(nodes: readonly RecordedNode[]): Cables {
  const ends = nodes.flatMap((node) =>
    node.devices
      .filter(({ kind }) => kind === "cable" || kind === "unmodelled")
      .map((device): CableEnd => ({ node, device })),
  );
  const pairs: (readonly [CableEnd, CableEnd])[] = [];
  const taken = new Set<Device>();
  const byIndexes = new Map<string, CableEnd[]>();
  for (const end of ends) {
    const key = indexesOf(end.device);
    if (key !== undefined) byIndexes.set(key, [...(byIndexes.get(key) ?? []), end]);
  }
  for (const end of ends) {
    const other = taken.has(end.device) ? undefined : otherEnd(end, byIndexes, taken);
    if (other === undefined) continue;
    taken.add(end.device).add(other.device);
    pairs.push([end, other]);
  }
  return { pairs, segments: segmentsOf(ends.filter(({ device }) => !taken.has(device))) };
}

/** `INDEX PEER`; undefined for what is no veth. */
function indexesOf({ kind, link }: Device): string | undefined {
  if (kind !== "cable" || link?.peerIndex === undefined) return undefined;
  return `${link.ifindex} ${link.peerIndex}`;
}

/** The device that has our indexes the other way round, in the namespace that our id means. */
function otherEnd(
  end: CableEnd,
  byIndexes: ReadonlyMap<string, readonly CableEnd[]>,
  taken: ReadonlySet<Device>,
): CableEnd | undefined {
  const { link } = end.device;
  if (link?.peerIndex === undefined) return undefined;
  const mutual = (byIndexes.get(`${link.peerIndex} ${link.ifindex}`) ?? []).filter(
    (other) => other.device !== end.device && !taken.has(other.device),
  );
  const { record } = end.node;
  if (link.peerNetnsId === undefined) return mutual.find(({ node }) => node === end.node);
  const apart = mutual.filter(({ node }) => node !== end.node);
  const name = record.netnsNames.get(link.peerNetnsId);
  if (name !== undefined) return apart.find(({ node }) => isNamed(node.record, name));
  // The namespace of the machine itself has no name where a pod lists ids.
  const near = apart.filter(({ node }) => isNear(record, node.record));
  const likely = near.length > 0 ? near : apart;
  const fitting = likely.filter((other) => pointsBack(other, end));
  return fitting.length === 1 ? fitting[0] : undefined;
}

function isNamed(record: NodeRecord, name: string): boolean {
  return record.name === name || netnsName(record.name) === name;
}

/** A pod and its node, or two pods of one node. */
function isNear(one: NodeRecord, other: NodeRecord): boolean {
  return (
    (one.host !== undefined && (one.host === other.name || one.host === other.host)) ||
    (other.host !== undefined && other.host === one.name)
  );
}

/** Whether what the other end says of its peer's namespace can mean ours. */
function pointsBack(other: CableEnd, end: CableEnd): boolean {
  const id = other.device.link?.peerNetnsId;
  const name = id === undefined ? undefined : other.node.record.netnsNames.get(id);
  return id !== undefined && (name === undefined || isNamed(end.node.record, name));
}

/** Ends whose networks overlap share a segment, but two devices of one node never do. */
function segmentsOf(ends: readonly CableEnd[]): readonly (readonly CableEnd[])[] {
  const segments: CableEnd[][] = [];
  for (const end of ends) {
    const shared = segments.find(
      (segment) =>
        segment.every(({ node }) => node !== end.node) &&
        segment.some((other) => shareNetwork(other.device, end.device)),
    );
    if (shared === undefined) segments.push([end]);
    else shared.push(end);
  }
  return segments;
}

function shareNetwork(one: Device, other: Device): boolean {
  if (one.kind !== "cable" || other.kind !== "cable") return false;
  const six = one.addresses6.some((a) =>
    other.addresses6.some(
      (b) =>
        a.length < 128 &&
        a.length === b.length &&
        a.address !== b.address &&
        !isIpv6LinkLocal(a.address) &&
        ipPrefixContains(a, b.address),
    ),
  );
  if (six) return true;
  return one.addresses.some((a) =>
    other.addresses.some(
      (b) =>
        a.length < 32 &&
        b.length < 32 &&
        a.address !== b.address &&
        prefixesOverlap(
          { address: a.address, length: a.length },
          { address: b.address, length: b.length },
        ),
    ),
  );
}

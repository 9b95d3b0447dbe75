import type { LabCommand } from "../../tools/command.js";
import { netnsName } from "../shell.js";
import type { CableEnd, RecordedNode } from "./cables.js";
import type { Device } from "./devices.js";
import type { NodeRecord } from "./node-record.js";

/** A device that lies on another, of the same or another namespace: macvlan, ipvlan, vlan. */
export interface Child {
  readonly child: CableEnd;
  readonly parent: CableEnd;
}

/** Children with their parents, parents first; one whose parent was not recorded is as if it were not modelled. */
export function findParents(nodes: readonly RecordedNode[]): {
  readonly nodes: readonly RecordedNode[];
  readonly children: readonly Child[];
} {
  const found = new Map<Device, CableEnd>();
  for (const node of nodes)
    for (const device of node.devices) {
      const parent = device.kind === "child" ? parentOf({ node, device }, nodes) : undefined;
      if (parent !== undefined) found.set(device, parent);
    }
  const kept = nodes.map((node) => ({
    ...node,
    devices: node.devices.map((device) =>
      device.kind === "child" && !found.has(device)
        ? { ...device, kind: "unmodelled" as const }
        : device,
    ),
  }));
  const children = nodes.flatMap((node) =>
    node.devices.flatMap((device) => {
      const parent = found.get(device);
      return parent === undefined ? [] : [{ child: { node, device }, parent }];
    }),
  );
  const depth = ({ parent }: Child, seen = 0): number => {
    const above = children.find(({ child }) => child.device === parent.device);
    return above === undefined || seen > children.length ? seen : depth(above, seen + 1);
  };
  return { nodes: kept, children: children.toSorted((a, b) => depth(a) - depth(b)) };
}

/** By its name in the same namespace, else by its index in the namespace that the child's dump names. */
function parentOf(
  { node, device: { link } }: CableEnd,
  nodes: readonly RecordedNode[],
): CableEnd | undefined {
  if (link === undefined) return undefined;
  const own = node.devices.find(({ name }) => name === link.lower);
  if (link.peerNetnsId === undefined) return own === undefined ? undefined : { node, device: own };
  const name = node.record.netnsNames.get(link.peerNetnsId);
  const fitting = nodes.flatMap((other): readonly CableEnd[] => {
    if (other === node || !isMeant(other.record, node.record, name)) return [];
    const device = other.devices.find((one) => one.link?.ifindex === link.peerIndex);
    return device === undefined ? [] : [{ node: other, device }];
  });
  return fitting.length === 1 ? fitting[0] : undefined;
}

/** The namespace of a name; without one the node that the pod is on. */
function isMeant(other: NodeRecord, own: NodeRecord, name: string | undefined): boolean {
  if (name === undefined) return own.host === other.name;
  return other.name === name || netnsName(other.name) === name;
}

/** Made where its parent is, and put where it was found. */
export function childCommand({ child, parent }: Child): LabCommand {
  const { name, mac, recordedKind = "", link } = child.device;
  const there = child.node === parent.node ? [] : ["netns", child.node.record.name];
  return {
    ns: parent.node.record.name,
    argv: [
      ...["ip", "link", "add", name, "link", parent.device.name],
      // An ipvlan has its parent's address.
      ...(recordedKind === "ipvlan" ? [] : ["address", mac]),
      ...there,
      ...["type", recordedKind, ...(link?.settings ?? [])],
    ],
    place: link?.place,
  };
}

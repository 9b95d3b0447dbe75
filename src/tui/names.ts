import { keyOf, nameOf, namespaceOf } from "../kube/objects.js";
import type { World } from "../lab/world.js";

/** Names of a world, as commands take them. */
export interface Names {
  readonly pods: readonly string[];
  readonly nodes: readonly string[];
  readonly services: readonly string[];
  readonly urls: readonly string[];
  readonly policies: readonly string[];
  readonly namespaces: readonly string[];
  /** Addresses with ports that somebody listens on. */
  readonly goals: readonly string[];
  readonly devices: readonly string[];
}

export const noNames: Names = {
  pods: [],
  nodes: [],
  services: [],
  urls: [],
  policies: [],
  namespaces: [],
  goals: [],
  devices: [],
};

/** Gathers the names of a world: of a big one there are many. */
export function namesIn(world: World): Names {
  if (world.kind === "lab") {
    const { namespaces, listeners } = world.lab;
    return {
      ...noNames,
      nodes: namespaces,
      goals: [...new Set(listeners.map(({ ns, port }) => `${ns}:${port}`))],
    };
  }
  if (world.kind === "recorded") {
    const { nodes } = world.recorded;
    return {
      ...noNames,
      nodes: nodes.map(({ record }) => record.name),
      devices: [...new Set(nodes.flatMap(({ devices }) => devices.map(({ name }) => name)))],
    };
  }
  const { pods, nodes, services, objects } = world.cluster;
  const served = services.flatMap(({ object }) =>
    (object.spec?.ports ?? []).map(({ port }) => ({ object, port })),
  );
  return {
    ...noNames,
    pods: pods.map(({ key }) => key),
    nodes: nodes.map(({ name }) => name),
    services: [...new Set(served.map(({ object, port }) => `${keyOf(object)}:${port}`))],
    urls: served
      .filter(({ port }) => port === 80)
      .map(({ object }) => `http://${nameOf(object)}.${namespaceOf(object)}`),
    policies: objects.NetworkPolicy.map(({ object }) => keyOf(object)),
    namespaces: [...new Set(pods.map(({ namespace }) => namespace))],
  };
}

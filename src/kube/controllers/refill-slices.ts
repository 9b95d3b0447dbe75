import type { Endpoint, EndpointPort, EndpointSlice } from "kubernetes-types/discovery/v1.js";

/** What a Service's slices of one family and one set of ports come to. */
export interface Refilled {
  /** Slices that were there: as they are now, those that are gone left out. */
  readonly kept: readonly EndpointSlice[];
  /** Endpoints that no slice took: for new slices. */
  readonly left: readonly Endpoint[];
}

/**
 * Brings slices to the endpoints that are wanted: endpoints stay in the slice they are in, slices that change anyway take new
 * ones first, then the fullest other slice that has room for all that are left. A slice that is empty goes, but for the last.
 * Mirrors k8s.io/endpointslice/reconciler.go:reconcileByPortMapping().
 */
export function refillSlices(
  slices: readonly EndpointSlice[],
  wanted: readonly Endpoint[],
  max: number,
): Refilled {
  const desired = new Map(wanted.map((endpoint) => [keyOf(endpoint), endpoint]));
  const states = slices.map((slice) => {
    const old = slice.endpoints ?? [];
    const endpoints = old.flatMap((endpoint) => {
      const now = desired.get(keyOf(endpoint));
      desired.delete(keyOf(endpoint));
      return now ?? [];
    });
    const changed =
      endpoints.length !== old.length ||
      endpoints.some((endpoint, at) => !sameConditions(endpoint, old[at]));
    return { slice, endpoints, changed };
  });
  const left = [...desired.values()];
  const fill = (state: (typeof states)[number]): void => {
    state.endpoints.push(...left.splice(0, Math.max(0, max - state.endpoints.length)));
  };
  const updated = states.filter(({ changed, endpoints }) => changed && endpoints.length > 0);
  for (const state of updated.toSorted((a, b) => b.endpoints.length - a.endpoints.length))
    fill(state);
  if (left.length > 0 && left.length < max) {
    const [fullest] = states
      .filter(({ changed, endpoints }) => !changed && endpoints.length + left.length <= max)
      .toSorted((a, b) => b.endpoints.length - a.endpoints.length);
    if (fullest !== undefined) fill(fullest);
  }
  const filled = states.filter(({ endpoints }) => endpoints.length > 0);
  const [first] = states;
  const last = filled.length === 0 && left.length === 0 && first !== undefined ? [first] : filled;
  return { kept: last.map(({ slice, endpoints }) => ({ ...slice, endpoints })), left };
}

/** An endpoint is the same while its pod and address are. */
function keyOf({ addresses, targetRef }: Endpoint): string {
  return `${targetRef?.namespace ?? ""}/${targetRef?.name ?? ""} ${addresses.join(",")}`;
}

function sameConditions(one: Endpoint, other: Endpoint | undefined): boolean {
  const text = ({ conditions, nodeName, zone }: Endpoint): string =>
    JSON.stringify([
      conditions?.ready,
      conditions?.serving,
      conditions?.terminating,
      nodeName,
      zone,
    ]);
  return other !== undefined && text(one) === text(other);
}

/** Two sets of ports are one when they have the same ports, in whatever order. */
export function portsKey(ports: readonly EndpointPort[]): string {
  return ports
    .map(
      ({ name = "", port, protocol = "TCP", appProtocol = "" }) =>
        `${name} ${port} ${protocol} ${appProtocol}`,
    )
    .toSorted()
    .join("\n");
}

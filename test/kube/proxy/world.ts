import type { Service, ServiceSpec } from "kubernetes-types/core/v1.js";
import type { Endpoint, EndpointSlice } from "kubernetes-types/discovery/v1.js";
import type { IpFamily } from "../../../src/kube/proxy/addresses.js";
import {
  DEFAULT_MACHINE,
  DEFAULT_SETTINGS,
  type ProxyConfig,
} from "../../../src/kube/proxy/config.js";
import { renderIptables } from "../../../src/kube/proxy/iptables.js";
import type { ProxyNode } from "../../../src/kube/proxy/node.js";
import type { RenderedText } from "../../../src/kube/proxy/rendered-text.js";
import { serviceObjects, serviceState } from "../../../src/kube/proxy/service-state.js";

/** Node node-a of the worked example. */
export const nodeA: ProxyNode = {
  name: "node-a",
  labels: {},
  podCIDRs: ["10.244.1.0/24"],
  primaryIPs: ["192.168.0.2", "fd00::2"],
  localAddresses: ["127.0.0.1", "::1", "192.168.0.2", "fd00::2"],
};

export const plainConfig: ProxyConfig = {
  ...DEFAULT_SETTINGS,
  ...DEFAULT_MACHINE,
  clusterCIDRs: ["10.244.0.0/16", "fd00:10:244::/56"],
};

/** A Service default/<name> with one port http 80/TCP at 10.96.1.1, and what `spec` says otherwise. */
export function service(
  name: string,
  spec: ServiceSpec = {},
  more: Partial<Service> = {},
): Service {
  return {
    metadata: { namespace: "default", name, ...more.metadata },
    spec: { clusterIP: "10.96.1.1", ports: [{ name: "http", port: 80, protocol: "TCP" }], ...spec },
    ...(more.status === undefined ? {} : { status: more.status }),
  };
}

/** Its EndpointSlice: port http 8080/TCP unless told. */
export function slice(
  name: string,
  endpoints: readonly Endpoint[],
  more: Partial<EndpointSlice> = {},
): EndpointSlice {
  return {
    addressType: "IPv4",
    metadata: {
      namespace: "default",
      name: `${name}-abcde`,
      labels: { "kubernetes.io/service-name": name },
    },
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
    endpoints: [...endpoints],
    ...more,
  };
}

export function render(
  services: readonly Service[],
  endpointSlices: readonly EndpointSlice[],
  config: Partial<ProxyConfig> = {},
  node: ProxyNode = nodeA,
  family: IpFamily = 4,
): RenderedText {
  const state = serviceState(serviceObjects({ services, endpointSlices }, family), node);
  return renderIptables(state, node, { ...plainConfig, ...config });
}

/** The rules of one table's chains whose names begin with `chain`. */
export function rulesOf({ text }: RenderedText, table: string, chain: string): string[] {
  const section = text.split(/^\*/m).find((part) => part.startsWith(`${table}\n`)) ?? "";
  return section.split("\n").filter((line) => line.startsWith(`-A ${chain}`));
}

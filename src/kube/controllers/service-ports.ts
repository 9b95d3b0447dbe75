import type { Service, ServiceSpec } from "kubernetes-types/core/v1.js";
import { UserError } from "../../base/errors.js";
import type { FieldPath } from "../load/source-text.js";
import { keyOf, type Loaded } from "../objects.js";
import type { BandedRange } from "./banded-range.js";

/**
 * What the API server refuses in a Service's list of ports: none at all, several without names, and two alike. Mirrors
 * pkg/apis/core/validation/validation.go:ValidateService().
 */
export function checkPorts({ object, origin }: Loaded<Service>, errors: UserError[]): void {
  const { type, clusterIP, ports = [] } = object.spec ?? {};
  const refuse = (path: FieldPath, what: string, help?: string): void => {
    const field = ["spec", ...path].join(".").replace(/\.(\d+)/g, "[$1]");
    const details = origin.details(["spec", ...path], path.length > 2 ? "value" : "key");
    errors.push(
      new UserError("SERVICE_PORTS", `Service ${keyOf(object)}: ${field}: ${what}`, {
        ...details,
        help,
      }),
    );
  };
  if (ports.length === 0 && type !== "ExternalName" && clusterIP !== "None")
    refuse(["ports"], "Required value");
  const names = new Set<string>();
  const numbers = new Set<string>();
  for (const [index, { name = "", port, protocol = "TCP" }] of ports.entries()) {
    const number = `${port}/${protocol}`;
    if (name === "" && ports.length > 1)
      refuse(["ports", index], "name: Required value", "ports need names where there are several");
    if (name !== "" && names.has(name))
      refuse(["ports", index, "name"], `Duplicate value: "${name}"`);
    if (numbers.has(number)) refuse(["ports", index, "port"], `Duplicate value: ${number}`);
    names.add(name);
    numbers.add(number);
  }
}

/** Takes the node ports that a Service asks for. */
export function takePorts(
  service: Loaded<Service>,
  range: BandedRange,
  taken: Map<number, string>,
  errors: UserError[],
): void {
  const { object, origin } = service;
  const asked = object.spec?.healthCheckNodePort ?? 0;
  if (asked !== 0 && needsHealthCheck(object.spec ?? {}) && !range.take(asked))
    errors.push(
      new UserError(
        "NODE_PORT",
        `Service ${keyOf(object)}: spec.healthCheckNodePort: Invalid value: ${asked}: failed to allocate requested HealthCheck NodePort ${asked}: provided port is ${range.has(asked) ? "already allocated" : `not in the valid range. The range of valid ports is ${range.first}-${range.last}`}`,
        origin.details(["spec", "healthCheckNodePort"], "value"),
      ),
    );
  if (!hasNodePorts(object)) return;
  const own = new Map<number, Set<string>>();
  for (const [index, { nodePort, protocol = "TCP" }] of (object.spec?.ports ?? []).entries()) {
    if (nodePort === undefined || nodePort === 0) continue;
    const protocols = own.get(nodePort) ?? new Set<string>();
    const shared = own.has(nodePort) && !protocols.has(protocol);
    own.set(nodePort, protocols.add(protocol));
    if (shared) continue;
    if (range.take(nodePort)) {
      taken.set(nodePort, keyOf(object));
      continue;
    }
    const inside = nodePort >= range.first && nodePort <= range.last;
    const why = inside
      ? "provided port is already allocated"
      : `provided port is not in the valid range. The range of valid ports is ${range.first}-${range.last}`;
    const holder = inside ? taken.get(nodePort) : undefined;
    const message = `Service ${keyOf(object)}: spec.ports[${index}].nodePort: Invalid value: ${nodePort}: ${why}`;
    const help = holder === undefined ? undefined : `Service ${holder} has it`;
    errors.push(
      new UserError("NODE_PORT", message, {
        ...origin.details(["spec", "ports", index, "nodePort"], "value"),
        help,
      }),
    );
  }
}

/** Whether the Service has ports on nodes. */
export function hasNodePorts({ spec }: Service): boolean {
  return (
    spec?.type === "NodePort" ||
    (spec?.type === "LoadBalancer" && spec.allocateLoadBalancerNodePorts !== false)
  );
}

/** A load balancer that wants local endpoints asks each node whether it has some, at a port of its own. */
export function healthCheckPort(
  spec: ServiceSpec,
  ports: BandedRange,
): { readonly healthCheckNodePort?: number } {
  if (!needsHealthCheck(spec) || (spec.healthCheckNodePort ?? 0) !== 0) return {};
  const port = ports.allocate();
  return port === undefined ? {} : { healthCheckNodePort: port };
}

/** Mirrors pkg/api/service/util.go:NeedsHealthCheck(). */
function needsHealthCheck({ type, externalTrafficPolicy }: ServiceSpec): boolean {
  return type === "LoadBalancer" && externalTrafficPolicy === "Local";
}

import type { Service, ServicePort as ApiServicePort } from "kubernetes-types/core/v1.js";
import type { Cidr, IpFamily } from "./addresses.js";
import { servicePortName } from "./names.js";
import {
  at,
  isKubernetesName,
  refuse,
  type FieldPath,
  type ObjectRef,
  type ProxyNote,
  type ProxyObjects,
} from "./objects.js";
import { VipReader, type Vip } from "./vips.js";

export type Protocol = "tcp" | "udp" | "sctp";

/** One port of one Service, in one address family. Mirrors pkg/proxy/serviceport.go:BaseServicePortInfo. */
export interface ServicePort {
  /** `namespace/service:port`; see `servicePortName`. */
  readonly name: string;
  /** Empty for a port without a name. */
  readonly portName: string;
  /** Joins it with its endpoints; see `portKey`. */
  readonly key: string;
  /** The Service at `spec.ports[n]`. */
  readonly object: ObjectRef;
  readonly protocol: Protocol;
  readonly clusterIP: Vip;
  readonly port: number;
  /** 0 when there is none. */
  readonly nodePort: number;
  readonly externalIPs: readonly Vip[];
  /** Load-balancer addresses that nodes capture: those of ipMode `VIP`. */
  readonly loadBalancerIPs: readonly Vip[];
  readonly sourceRanges: readonly Cidr[];
  /** ClientIP affinity in seconds; undefined for none. */
  readonly affinitySeconds: number | undefined;
  readonly internalPolicyLocal: boolean;
  /** Counts only for services that can be reached from outside. */
  readonly externalPolicyLocal: boolean;
  /** 0 unless the type is LoadBalancer with policy Local. */
  readonly healthCheckNodePort: number;
}

/** What both a service port and a slice port have: it is how they find each other. */
export function portKey(
  namespace: string,
  service: string,
  port: string,
  protocol: Protocol,
): string {
  return `${namespace}/${service}:${port}/${protocol}`;
}

/** True when a node port, a load balancer or an external IP leads to the port. Mirrors ServicePort.ExternallyAccessible(). */
export function externallyReachable(
  port: Pick<ServicePort, "nodePort" | "loadBalancerIPs" | "externalIPs">,
): boolean {
  return port.nodePort !== 0 || port.loadBalancerIPs.length > 0 || port.externalIPs.length > 0;
}

/** A field of the port's Service outside the port. */
export function serviceField({ object }: ServicePort, ...path: FieldPath): ObjectRef {
  return at({ ...object, path: [] }, ...path);
}

/** The ports of every service that kube-proxy serves in one family. Adds to `notes` what it passes over. */
export function servicePorts(
  objects: ProxyObjects,
  family: IpFamily,
  notes: ProxyNote[],
): ServicePort[] {
  return objects.services.flatMap((service) => portsOfService(objects, service, family, notes));
}

/** Headless and ExternalName services, and those of another proxy, have no ports here. Mirrors pkg/proxy/util:ShouldSkipService(). */
function portsOfService(
  objects: ProxyObjects,
  service: Service,
  family: IpFamily,
  notes: ProxyNote[],
): ServicePort[] {
  const spec = service.spec ?? {};
  const labels = service.metadata?.labels ?? {};
  if (
    "service.kubernetes.io/service-proxy-name" in labels ||
    "service.kubernetes.io/headless" in labels
  )
    return [];
  if (spec.type === "ExternalName") return [];
  const object = refOfService(objects, service);
  const vips = new VipReader(object, family, notes);
  const clusterIP = vips.firstClusterIP(spec.clusterIPs, spec.clusterIP);
  if (clusterIP === undefined) return [];

  const loadBalancer = spec.type === "LoadBalancer";
  const externalIPs = vips.read(spec.externalIPs ?? [], ["spec", "externalIPs"]);
  const exposed = loadBalancer || spec.type === "NodePort" || (spec.externalIPs ?? []).length > 0;
  const externalPolicyLocal = exposed && spec.externalTrafficPolicy === "Local";
  const shared = {
    clusterIP,
    externalIPs,
    loadBalancerIPs: vips.ofLoadBalancer(service.status?.loadBalancer?.ingress ?? []),
    sourceRanges: vips.ranges(spec.loadBalancerSourceRanges ?? []),
    affinitySeconds: affinitySeconds(objects, service, object),
    internalPolicyLocal: spec.internalTrafficPolicy === "Local",
    externalPolicyLocal,
    healthCheckNodePort:
      loadBalancer && externalPolicyLocal
        ? portNumber(
            objects,
            at(object, "spec", "healthCheckNodePort"),
            spec.healthCheckNodePort ?? 0,
            0,
          )
        : 0,
  };
  return (spec.ports ?? []).map((port, index) => ({
    ...onePort(objects, at(object, "spec", "ports", index), port),
    ...shared,
  }));
}

function refOfService(objects: ProxyObjects, service: Service): ObjectRef {
  const { namespace = "default", name = "" } = service.metadata ?? {};
  const object: ObjectRef = { kind: "Service", namespace, name, path: [] };
  if (!isKubernetesName(namespace))
    refuse(objects, at(object, "metadata", "namespace"), "not a namespace name");
  if (!isKubernetesName(name))
    refuse(objects, at(object, "metadata", "name"), "not a Service name");
  return object;
}

function onePort(
  objects: ProxyObjects,
  object: ObjectRef,
  port: ApiServicePort,
): Pick<ServicePort, "name" | "portName" | "key" | "object" | "protocol" | "port" | "nodePort"> {
  const { namespace, name: service } = object;
  const portName = port.name ?? "";
  if (portName !== "" && !isKubernetesName(portName))
    refuse(objects, at(object, "name"), "not a port name");
  const protocol = protocolOf(objects, at(object, "protocol"), port.protocol);
  return {
    name: servicePortName(namespace, service, portName),
    portName,
    key: portKey(namespace, service, portName, protocol),
    object,
    protocol,
    port: portNumber(objects, at(object, "port"), port.port, 1),
    nodePort: portNumber(objects, at(object, "nodePort"), port.nodePort ?? 0, 0),
  };
}

/** TCP unless told, as the API server defaults it. */
export function protocolOf(
  objects: ProxyObjects,
  object: ObjectRef,
  protocol: string | undefined,
): Protocol {
  switch (protocol) {
    case undefined:
    case "TCP":
      return "tcp";
    case "UDP":
      return "udp";
    case "SCTP":
      return "sctp";
    default:
      return refuse(
        objects,
        object,
        `Unsupported value: ${JSON.stringify(protocol)}`,
        "supported: TCP, UDP, SCTP",
      );
  }
}

function portNumber(
  objects: ProxyObjects,
  object: ObjectRef,
  value: unknown,
  least: 0 | 1,
): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= 65_535)
    return value;
  return refuse(objects, object, "must be between 1 and 65535, inclusive");
}

/** Three hours unless told, as the API server defaults it; at most a day. */
function affinitySeconds(
  objects: ProxyObjects,
  service: Service,
  object: ObjectRef,
): number | undefined {
  if (service.spec?.sessionAffinity !== "ClientIP") return undefined;
  const seconds: unknown = service.spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800;
  if (typeof seconds === "number" && Number.isInteger(seconds) && seconds > 0 && seconds <= 86_400)
    return seconds;
  const path = at(object, "spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds");
  return refuse(objects, path, "must be greater than 0 and less than 86400");
}

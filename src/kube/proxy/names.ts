import { sha256 } from "../../base/sha256.js";

/** What kube-proxy calls a port of a Service in comments and hashes: `namespace/service:port`, or without `:port` when it has no name. */
export function servicePortName(namespace: string, service: string, port: string): string {
  return port === "" ? `${namespace}/${service}` : `${namespace}/${service}:${port}`;
}

/** The chains of one service port; they share one hash. Mirrors pkg/proxy/iptables/proxier.go:portProtoHash(). */
export interface ServiceChains {
  /** Every endpoint the cluster policy allows: `KUBE-SVC-…`. */
  readonly cluster: string;
  /** Only this node's endpoints: `KUBE-SVL-…`. */
  readonly local: string;
  /** Where traffic from outside enters: `KUBE-EXT-…`. */
  readonly external: string;
  /** Checks a load balancer's source ranges: `KUBE-FW-…`. */
  readonly firewall: string;
}

/** `protocol` in lower case. */
export function serviceChains(name: string, protocol: string): ServiceChains {
  const hash = nameHash(name + protocol, 16);
  return {
    cluster: `KUBE-SVC-${hash}`,
    local: `KUBE-SVL-${hash}`,
    external: `KUBE-EXT-${hash}`,
    firewall: `KUBE-FW-${hash}`,
  };
}

/** `KUBE-SEP-…` of one endpoint of a service port. `endpoint` is `address:port`, IPv6 in brackets. */
export function endpointChain(name: string, protocol: string, endpoint: string): string {
  return `KUBE-SEP-${nameHash(name + protocol + endpoint, 16)}`;
}

/** What nftables mode calls a port of a Service: `<hash>-namespace/service/protocol/port`, to be prefixed. */
export function nftServiceName(
  namespace: string,
  service: string,
  protocol: string,
  port: string,
): string {
  return nftName(nftServiceText(namespace, service, protocol, port));
}

/** The same for one endpoint of the port: `…__address/port`. A colon cannot stand in a name and becomes a dot. */
export function nftEndpointName(
  { namespace, name }: { readonly namespace: string; readonly name: string },
  protocol: string,
  portName: string,
  endpoint: { readonly address: { readonly text: string }; readonly port: number },
): string {
  const address = endpoint.address.text.replaceAll(":", ".");
  return nftName(
    `${nftServiceText(namespace, name, protocol, portName)}__${address}/${endpoint.port}`,
  );
}

function nftServiceText(
  namespace: string,
  service: string,
  protocol: string,
  port: string,
): string {
  return `${namespace}/${service}/${protocol}/${port}`;
}

/** Names are limited; the hash is that of the full text. Mirrors pkg/proxy/nftables/proxier.go:hashAndTruncate(). */
function nftName(text: string): string {
  const name = `${nameHash(text, 8)}-${text}`;
  return name.length > 240 ? `${name.slice(0, 237)}...` : name;
}

/** The first `length` characters of a text's SHA-256 in base 32. */
export function nameHash(text: string, length: number): string {
  return base32(sha256(text), length);
}

/** RFC 4648 §6: five bits a character, most significant first; the first `length` characters. */
export function base32(bytes: Uint8Array, length: number): string {
  let text = "";
  for (let index = 0; index < length; index++) {
    const bit = index * 5;
    const pair = ((bytes[bit >> 3] ?? 0) << 8) | (bytes[(bit >> 3) + 1] ?? 0);
    text += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".charAt((pair >> (11 - (bit & 7))) & 31);
  }
  return text;
}

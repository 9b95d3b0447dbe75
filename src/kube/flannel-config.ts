import type { ConfigMap, Node } from "kubernetes-types/core/v1.js";
import { UserError } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import {
  addToIpv4,
  formatIpv4Prefix,
  formatIpv6Prefix,
  type Ipv4,
  type Ipv4Prefix,
  type Ipv6,
  type Ipv6Prefix,
  maskIpv6,
  networkOf,
  parseIpv4,
  parseIpv4Prefix,
  parseIpv6,
  parseIpv6Prefix,
  parseMac,
} from "../wire/ip.js";
import { type Conflist, parseConflist } from "./cni/conflist.js";
import { isMapping } from "./load/check.js";
import type { LoadResult } from "./load.js";
import { type Loaded, nameOf } from "./objects.js";

/** What flannel's `net-conf.json` says, as far as it decides where packets go. */
export interface FlannelNetwork {
  readonly kind: "flannel";
  /** The network of all pods; undefined where flannel has IPv6 alone. */
  readonly network: Ipv4Prefix | undefined;
  /** The same of IPv6; undefined without `EnableIPv6`. */
  readonly network6: Ipv6Prefix | undefined;
  readonly backend: "vxlan" | "host-gw";
  readonly vni: number;
  readonly port: number;
  /** Nodes on one segment are reached without the tunnel. */
  readonly directRouting: boolean;
  /** The underlay's MTU where it is set by hand. */
  readonly underlayMtu: number;
  /** `flanneld --ip-masq`: what leaves the pod network is masqueraded. */
  readonly masquerade: boolean;
  /** The nodes' CNI configuration, when the ConfigMap holds one. */
  readonly conflist: Conflist | undefined;
}

const NET_CONF = "net-conf.json";
const CNI_CONF = "cni-conf.json";

/** Bytes that VXLAN takes from the MTU, over IPv4 and over IPv6. */
const VXLAN_OVERHEAD = 50;
const VXLAN6_OVERHEAD = 70;
const DEFAULT_MTU = 1500;

/**
 * Finds flannel's ConfigMap (kube-flannel-cfg) and reads it. Undefined when there is none; mistakes and backends that are
 * not modelled go to `errors`. Mirrors github.com/flannel-io/flannel/pkg/subnet/config.go:ParseConfig().
 */
export function findFlannel(
  objects: LoadResult["objects"],
  errors: UserError[],
): FlannelNetwork | undefined {
  const found = objects.ConfigMap.find(
    ({ object }) => nameOf(object) === "kube-flannel-cfg" && object.data?.[NET_CONF] !== undefined,
  );
  if (found === undefined) return undefined;
  const refuse = (message: string, help?: string): undefined => {
    const details = found.origin.details(["data", NET_CONF]);
    errors.push(new UserError("FLANNEL_CONFIG", `flannel: ${message}`, { ...details, help }));
    return undefined;
  };
  let raw: unknown;
  try {
    raw = JSON.parse(found.object.data?.[NET_CONF] ?? "");
  } catch {
    return refuse(`error unmarshaling config: ${NET_CONF} is not JSON`);
  }
  if (!isMapping(raw)) return refuse(`error unmarshaling config: ${NET_CONF} is not an object`);
  const { Network: text, IPv6Network: text6, Backend: backend = { Type: "udp" } } = raw;
  const { EnableIPv4: ipv4 = true, EnableIPv6: ipv6 = false, EnableNFTables: nft } = raw;
  if (ipv4 !== true && ipv6 !== true) return refuse("EnableIPv4 and EnableIPv6 are both off");
  const network = typeof text === "string" ? parseIpv4Prefix(text) : undefined;
  if (ipv4 === true && network === undefined)
    return refuse(`invalid Network ${JSON.stringify(text ?? "")}: an IPv4 network is expected`);
  const network6 = typeof text6 === "string" ? parseIpv6Prefix(text6) : undefined;
  if (ipv6 === true && network6 === undefined)
    return refuse(
      `invalid IPv6Network ${JSON.stringify(text6 ?? "")}: an IPv6 network is expected`,
    );
  if (nft === true) return refuse("EnableNFTables is not modelled yet");
  if (!isMapping(backend)) return refuse("error decoding Backend property of config");
  const type = backend["Type"];
  if (type !== "vxlan" && type !== "host-gw") return refuse(...unknownBackend(type));
  const numbers = numbersOf(backend);
  if (typeof numbers === "string") return refuse(numbers);
  return {
    kind: "flannel",
    network: ipv4 === true && network !== undefined ? networkOf(network) : undefined,
    network6:
      ipv6 === true && network6 !== undefined
        ? { address: maskIpv6(network6.address, network6.length), length: network6.length }
        : undefined,
    backend: type,
    ...numbers,
    directRouting: backend["DirectRouting"] === true,
    masquerade: hasMasquerade(objects),
    conflist: conflistIn(found, errors),
  };
}

const OTHER_BACKENDS: readonly string[] =
  "udp wireguard ipip ipsec alloc extension tencent-vpc".split(" ");

function unknownBackend(type: unknown): [string, string | undefined] {
  const text = typeof type === "string" ? type : "";
  if (OTHER_BACKENDS.includes(text))
    return [`backend "${text}" is not modelled`, "vxlan and host-gw are"];
  const near = nearest(text, ["vxlan", "host-gw", ...OTHER_BACKENDS]);
  return [
    `unknown backend type: ${text}`,
    near === undefined ? "vxlan and host-gw are modelled" : `did you mean "${near}"?`,
  ];
}

/** The numbers of a backend; what is wrong with one of them. */
function numbersOf(
  backend: Readonly<Record<string, unknown>>,
): Pick<FlannelNetwork, "vni" | "port" | "underlayMtu"> | string {
  const read = (key: string, otherwise: number, low: number, high: number): number | string => {
    const value = backend[key] ?? otherwise;
    const whole = typeof value === "number" && Number.isInteger(value);
    if (whole && value === 0) return otherwise;
    return whole && value >= low && value <= high
      ? value
      : `error decoding VXLAN backend config: ${key} ${JSON.stringify(value)} is not a number from ${low} to ${high}`;
  };
  if (backend["GBP"] === true || backend["Learning"] === true)
    return "GBP and Learning of the VXLAN backend are not modelled";
  const vni = read("VNI", 1, 1, 0xff_ffff);
  const port = read("Port", 8472, 1, 65_535);
  const underlayMtu = read("MTU", DEFAULT_MTU, 100, 65_535);
  if (typeof vni === "string") return vni;
  if (typeof port === "string") return port;
  return typeof underlayMtu === "string" ? underlayMtu : { vni, port, underlayMtu };
}

/** The agent's own DaemonSet says whether it masquerades; without one it is the manifest's, which does. */
function hasMasquerade(objects: LoadResult["objects"]): boolean {
  const words = objects.DaemonSet.flatMap(({ object }) =>
    (object.spec?.template.spec?.containers ?? []).map(({ command = [], args = [] }) => [
      ...command,
      ...args,
    ]),
  ).filter(([program = ""]) => program.endsWith("/flanneld"));
  return words.length === 0 || words.some((line) => line.includes("--ip-masq"));
}

function conflistIn(
  { object, origin }: Loaded<ConfigMap>,
  errors: UserError[],
): Conflist | undefined {
  const text = object.data?.[CNI_CONF];
  if (text === undefined) return undefined;
  try {
    return parseConflist(text, `${origin.file}: ${CNI_CONF}`);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    errors.push(
      new UserError(
        "FLANNEL_CONFIG",
        `${CNI_CONF}: ${error.message}`,
        origin.details(["data", CNI_CONF]),
      ),
    );
    return undefined;
  }
}

/** The MTU of the pods: what fits into either tunnel. */
export function podMtu({ backend, underlayMtu, network6 }: FlannelNetwork): number {
  if (backend !== "vxlan") return underlayMtu;
  return underlayMtu - (network6 === undefined ? VXLAN_OVERHEAD : VXLAN6_OVERHEAD);
}

/** What the agent writes for the CNI plugin: `/run/flannel/subnet.env`. Mirrors WriteSubnetFile(). */
export function subnetEnv(
  flannel: FlannelNetwork,
  podCidr: Ipv4Prefix | undefined,
  podCidr6: Ipv6Prefix | undefined,
): string {
  const { network, network6 } = flannel;
  const v4 =
    network === undefined || podCidr === undefined
      ? []
      : [
          `FLANNEL_NETWORK=${formatIpv4Prefix(network)}`,
          `FLANNEL_SUBNET=${formatIpv4Prefix({ ...podCidr, address: addToIpv4(networkOf(podCidr).address, 1) })}`,
        ];
  const v6 =
    network6 === undefined || podCidr6 === undefined
      ? []
      : [
          `FLANNEL_IPV6_NETWORK=${formatIpv6Prefix(network6)}`,
          `FLANNEL_IPV6_SUBNET=${formatIpv6Prefix({ ...podCidr6, address: (podCidr6.address + 1n) as Ipv6 })}`,
        ];
  return [
    ...v4,
    ...v6,
    `FLANNEL_MTU=${podMtu(flannel)}`,
    `FLANNEL_IPMASQ=${flannel.masquerade}`,
    "",
  ].join("\n");
}

/** What a node's agent told the others in annotations of its Node. */
export interface FlannelLease {
  readonly publicIp: Ipv4 | undefined;
  readonly publicIp6: Ipv6 | undefined;
  readonly vtepMac: string | undefined;
  readonly vtepMac6: string | undefined;
}

/** Reads `flannel.alpha.coreos.com/…`; what is not there, or is nonsense, is undefined. */
export function leaseOf(node: Node): FlannelLease {
  const annotations = node.metadata?.annotations ?? {};
  const macIn = (key: string): string | undefined => {
    const text = annotations[`flannel.alpha.coreos.com/${key}`] ?? "";
    const data = /"VtepMAC":\s*"([0-9a-fA-F:]+)"/.exec(text)?.[1];
    return data !== undefined && parseMac(data) !== undefined ? data.toLowerCase() : undefined;
  };
  return {
    publicIp: parseIpv4(annotations["flannel.alpha.coreos.com/public-ip"] ?? ""),
    publicIp6: parseIpv6(annotations["flannel.alpha.coreos.com/public-ipv6"] ?? ""),
    vtepMac: macIn("backend-data"),
    vtepMac6: macIn("backend-v6-data"),
  };
}

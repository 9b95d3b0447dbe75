import type { ConfigMap, Node } from "kubernetes-types/core/v1.js";
import { UserError } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import {
  addToIpv4,
  formatIpv4Prefix,
  type Ipv4,
  type Ipv4Prefix,
  networkOf,
  parseIpv4,
  parseIpv4Prefix,
  parseMac,
} from "../wire/ip.js";
import { type Conflist, parseConflist } from "./cni/conflist.js";
import { isMapping } from "./load/check.js";
import type { LoadResult } from "./load.js";
import { type Loaded, nameOf } from "./objects.js";

/** What flannel's `net-conf.json` says, as far as it decides where packets go. */
export interface FlannelNetwork {
  readonly kind: "flannel";
  /** The network of all pods. */
  readonly network: Ipv4Prefix;
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

/** Bytes that VXLAN over IPv4 takes from the MTU. */
const VXLAN_OVERHEAD = 50;
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
  const { Network: text, Backend: backend = { Type: "udp" }, EnableNFTables: nft } = raw;
  const network = typeof text === "string" ? parseIpv4Prefix(text) : undefined;
  if (typeof text !== "string" || network === undefined)
    return refuse(`invalid Network ${JSON.stringify(text ?? "")}: an IPv4 network is expected`);
  if (nft === true) return refuse("EnableNFTables is not modelled yet");
  if (!isMapping(backend)) return refuse("error decoding Backend property of config");
  const type = backend["Type"];
  if (type !== "vxlan" && type !== "host-gw") return refuse(...unknownBackend(type));
  const numbers = numbersOf(backend);
  if (typeof numbers === "string") return refuse(numbers);
  return {
    kind: "flannel",
    network: networkOf(network),
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

/** The MTU of the pods. */
export function podMtu({ backend, underlayMtu }: FlannelNetwork): number {
  return backend === "vxlan" ? underlayMtu - VXLAN_OVERHEAD : underlayMtu;
}

/** What the agent writes for the CNI plugin: `/run/flannel/subnet.env`. Mirrors WriteSubnetFile(). */
export function subnetEnv(flannel: FlannelNetwork, podCidr: Ipv4Prefix): string {
  const first = { ...podCidr, address: addToIpv4(networkOf(podCidr).address, 1) };
  return [
    `FLANNEL_NETWORK=${formatIpv4Prefix(flannel.network)}`,
    `FLANNEL_SUBNET=${formatIpv4Prefix(first)}`,
    `FLANNEL_MTU=${podMtu(flannel)}`,
    `FLANNEL_IPMASQ=${flannel.masquerade}`,
    "",
  ].join("\n");
}

/** What a node's agent told the others in annotations of its Node. */
export interface FlannelLease {
  readonly publicIp: Ipv4 | undefined;
  readonly vtepMac: string | undefined;
}

/** Reads `flannel.alpha.coreos.com/…`; what is not there, or is nonsense, is undefined. */
export function leaseOf(node: Node): FlannelLease {
  const annotations = node.metadata?.annotations ?? {};
  const data = /"VtepMAC":\s*"([0-9a-fA-F:]+)"/.exec(
    annotations["flannel.alpha.coreos.com/backend-data"] ?? "",
  )?.[1];
  return {
    publicIp: parseIpv4(annotations["flannel.alpha.coreos.com/public-ip"] ?? ""),
    vtepMac: data !== undefined && parseMac(data) !== undefined ? data.toLowerCase() : undefined,
  };
}

import { get16, get32, get48, get8, put16, put32, put48, put8 } from "./bytes.js";
import { type Decoded, decoded, refused } from "./decoded.js";
import { formatMac, type Mac } from "./ip.js";

/** How an LLC frame of spanning tree begins: both service access points are 0x42, unnumbered information. IEEE 802.2. */
const LLC_STP = [0x42, 0x42, 0x03] as const;
const TYPE_CONFIGURATION = 0x00;
const TYPE_TCN = 0x80;
const FLAG_TOPOLOGY_CHANGE = 0x01;
const FLAG_ACKNOWLEDGED = 0x80;

/** LLC header and BPDU: what Ethernet's length field says. */
export const CONFIGURATION_LENGTH = 38;
export const TCN_LENGTH = 7;

/** Who a bridge is: the lower priority, then the lower address, is the better one. */
export interface BridgeId {
  /** 0..65535. */
  readonly priority: number;
  readonly mac: Mac;
}

/** A configuration message. Times are in 1/256 s. IEEE 802.1D §9.3.1. */
export interface ConfigurationBpdu {
  readonly kind: "configuration";
  readonly topologyChange: boolean;
  readonly acknowledged: boolean;
  readonly root: BridgeId;
  readonly rootPathCost: number;
  readonly bridge: BridgeId;
  readonly port: number;
  readonly messageAge: number;
  readonly maxAge: number;
  readonly helloTime: number;
  readonly forwardDelay: number;
}

/** A bridge tells towards the root that a port came or went. IEEE 802.1D §9.3.2. */
export interface TcnBpdu {
  readonly kind: "tcn";
}

export type Bpdu = ConfigurationBpdu | TcnBpdu;

/** Reads the payload of an 802.3 frame. */
export function decodeBpdu(bytes: Uint8Array): Decoded<Bpdu> {
  if (bytes.length < TCN_LENGTH)
    return refused(`BPDU cut short: ${bytes.length} of ${TCN_LENGTH} bytes`);
  if (LLC_STP.some((value, index) => get8(bytes, index) !== value))
    return refused("an LLC frame that is not of spanning tree");
  if (get16(bytes, 3) !== 0 || get8(bytes, 5) !== 0)
    return refused("a BPDU of another protocol or version");
  const type = get8(bytes, 6);
  if (type === TYPE_TCN) return decoded({ kind: "tcn" });
  if (type !== TYPE_CONFIGURATION) return refused(`a BPDU of type ${type}`);
  if (bytes.length < CONFIGURATION_LENGTH)
    return refused(`BPDU cut short: ${bytes.length} of ${CONFIGURATION_LENGTH} bytes`);
  const flags = get8(bytes, 7);
  return decoded({
    kind: "configuration",
    topologyChange: (flags & FLAG_TOPOLOGY_CHANGE) !== 0,
    acknowledged: (flags & FLAG_ACKNOWLEDGED) !== 0,
    root: getBridgeId(bytes, 8),
    rootPathCost: get32(bytes, 16),
    bridge: getBridgeId(bytes, 20),
    port: get16(bytes, 28),
    messageAge: get16(bytes, 30),
    maxAge: get16(bytes, 32),
    helloTime: get16(bytes, 34),
    forwardDelay: get16(bytes, 36),
  });
}

/** The payload of an 802.3 frame; its length is the frame's type field. */
export function encodeBpdu(bpdu: Bpdu): Uint8Array {
  const bytes = new Uint8Array(bpdu.kind === "tcn" ? TCN_LENGTH : CONFIGURATION_LENGTH);
  bytes.set(LLC_STP);
  put8(bytes, 6, bpdu.kind === "tcn" ? TYPE_TCN : TYPE_CONFIGURATION);
  if (bpdu.kind === "tcn") return bytes;
  const change = bpdu.topologyChange ? FLAG_TOPOLOGY_CHANGE : 0;
  put8(bytes, 7, change | (bpdu.acknowledged ? FLAG_ACKNOWLEDGED : 0));
  putBridgeId(bytes, 8, bpdu.root);
  put32(bytes, 16, bpdu.rootPathCost);
  putBridgeId(bytes, 20, bpdu.bridge);
  put16(bytes, 28, bpdu.port);
  put16(bytes, 30, bpdu.messageAge);
  put16(bytes, 32, bpdu.maxAge);
  put16(bytes, 34, bpdu.helloTime);
  put16(bytes, 36, bpdu.forwardDelay);
  return bytes;
}

/** As tcpdump prints it: `STP 802.1d, Config, Flags [none], bridge-id 8000.02:00:00:00:00:01.8001, length 35`. */
export function formatBpdu(bpdu: Bpdu): string {
  if (bpdu.kind === "tcn") return "STP 802.1d, Topology Change";
  const { bridge, port, topologyChange, acknowledged } = bpdu;
  const flags = [
    ...(topologyChange ? ["Topology change"] : []),
    ...(acknowledged ? ["Topology change ACK"] : []),
  ];
  const id = `${formatBridgeId(bridge)}.${port.toString(16).padStart(4, "0")}`;
  return `STP 802.1d, Config, Flags [${flags.join(", ") || "none"}], bridge-id ${id}, length 35`;
}

/** `8000.02:00:00:00:00:01`. */
export function formatBridgeId({ priority, mac }: BridgeId): string {
  return `${priority.toString(16).padStart(4, "0")}.${formatMac(mac)}`;
}

/** Below 0 when `a` is the better bridge, 0 when they are one. */
export function compareBridgeIds(a: BridgeId, b: BridgeId): number {
  return a.priority - b.priority || a.mac - b.mac;
}

function getBridgeId(bytes: Uint8Array, at: number): BridgeId {
  return { priority: get16(bytes, at), mac: get48(bytes, at + 2) as Mac };
}

function putBridgeId(bytes: Uint8Array, at: number, { priority, mac }: BridgeId): void {
  put16(bytes, at, priority);
  put48(bytes, at + 2, mac);
}

import type { NetDevice } from "../core/device.js";
import { BridgeDevice } from "../link/bridge.js";
import type { BridgePort } from "../link/bridge-port.js";
import { PORT_STATES } from "../link/bridge-port.js";
import { Ipvlan } from "../link/ipvlan.js";
import type { KernelTimer } from "../link/kernel-timer.js";
import { Macvlan, macvlanPorts } from "../link/macvlan.js";
import { Tun } from "../link/tun.js";
import { Vlan } from "../link/vlan.js";
import { Vxlan } from "../link/vxlan.js";
import { isGroup } from "../link/vxlan-fdb.js";
import type { BridgeId } from "../wire/bpdu.js";
import { formatIp, formatMac } from "../wire/ip.js";
import { bridgeOption } from "./bridge-options.js";
import { formatIpvlanOptions } from "./ip-link-ipvlan.js";
import { formatMacvlanOptions } from "./ip-link-macvlan.js";
import { formatTunOptions } from "./ip-tuntap.js";

/**
 * What `ip -d link` adds to the line with the addresses, and `ip -d addr` (`withMode` false), which leaves out how addresses are made. Differs: queues as on a machine with one CPU, and the timer of the
 * fdb's garbage is not told. Mirrors iproute2's ip/ipaddress.c:print_linkinfo().
 */
export function formatDetails(dev: NetDevice, lineBreak: string, withMode: boolean): string {
  const port = portOf(dev);
  const [least, most] = mtuBounds(dev);
  const asked = (on: boolean): number => Number(on) + Number(port !== undefined);
  const above = macvlanPorts(dev.ns).find(dev)?.promiscuity ?? 0;
  const first = ` promiscuity ${asked(dev.promiscuous) + above}  allmulti ${asked(dev.allMulticast)} minmtu ${least} maxmtu ${most} `;
  const kind = dev.isLoopback ? "" : `${lineBreak}    ${dev.kind} ${optionsOf(dev)}`;
  const slave = port === undefined ? "" : `${lineBreak}    bridge_slave ${portText(port)}`;
  const mode = withMode ? "addrgenmode eui64 " : "";
  const size = ownSegments(dev) ? 65_536 : 524_280;
  return `${first}${kind}${slave}${mode}numtxqueues 1 numrxqueues 1 gso_max_size 65536 gso_max_segs 65535 tso_max_size ${size} tso_max_segs 65535 gro_max_size 65536 `;
}

/** Devices with no other below them whose limit for segments they have. */
function ownSegments(dev: NetDevice): boolean {
  if (dev instanceof BridgeDevice) return dev.ports.length === 0;
  return dev instanceof Tun || (dev instanceof Vxlan && dev.settings.lower === undefined);
}

function portOf(dev: NetDevice): BridgePort | undefined {
  return dev.master instanceof BridgeDevice ? dev.master.portOf(dev) : undefined;
}

function mtuBounds(dev: NetDevice): readonly [number, number] {
  if (dev.isLoopback || dev.kind === "dummy") return [0, 0];
  if (dev instanceof Tun) return [68, dev.maxMtu];
  return [dev instanceof Vlan ? 0 : 68, 65_535];
}

function optionsOf(dev: NetDevice): string {
  if (dev instanceof BridgeDevice) return bridgeText(dev);
  if (dev instanceof Macvlan) return formatMacvlanOptions(dev);
  if (dev instanceof Ipvlan) return formatIpvlanOptions(dev);
  if (dev instanceof Tun) return formatTunOptions(dev);
  if (dev instanceof Vlan) return `protocol 802.1Q id ${dev.id} <REORDER_HDR> `;
  return dev instanceof Vxlan ? vxlanText(dev) : "";
}

function vxlanText({ settings }: Vxlan): string {
  const { vni, local, lower, sourcePorts, port, learning, ttl, tos, df, checksum } = settings;
  const { remote, maxAddresses } = settings;
  return [
    `id ${vni}`,
    remote === undefined ? "" : `${isGroup(remote) ? "group" : "remote"} ${formatIp(remote)}`,
    local === undefined ? "" : `local ${formatIp(local)}`,
    lower === undefined ? "" : `dev ${lower.name}`,
    `srcport ${sourcePorts[0]} ${sourcePorts[1]}`,
    `dstport ${port}`,
    learning ? "" : "nolearning",
    ...(["proxy", "rsc", "l2miss", "l3miss"] as const).filter((name) => settings[name]),
    tos === 0 ? "" : `tos ${tos === "inherit" ? tos : `0x${tos.toString(16)}`}`,
    `ttl ${ttl === 0 ? "auto" : ttl}`,
    df === "unset" ? "" : `df ${df}`,
    "ageing 300",
    maxAddresses === 0 ? "" : `maxaddr ${maxAddresses}`,
    checksum ? "udpcsum" : "noudpcsum",
    "noudp6zerocsumtx noudp6zerocsumrx ",
  ]
    .filter((word) => word !== "")
    .join(" ");
}

/** Mirrors iproute2's ip/iplink_bridge.c:bridge_print_opt(). */
function bridgeText(bridge: BridgeDevice): string {
  const { stp } = bridge;
  const told = (...names: readonly string[]): string =>
    names.map((name) => `${name} ${bridgeOption(bridge, name)} `).join("");
  return [
    told("forward_delay", "hello_time", "max_age", "ageing_time", "stp_state", "priority"),
    told("vlan_filtering"),
    `bridge_id ${bridgeId(stp.id)} designated_root ${bridgeId(stp.designatedRoot)} `,
    `root_port ${stp.rootPort} root_path_cost ${stp.rootPathCost} `,
    `topology_change ${Number(stp.topologyChange)} topology_change_detected ${Number(stp.topologyChangeDetected)} `,
    `hello_timer ${left(stp.hello)} tcn_timer ${left(stp.tcn)} topology_change_timer ${left(stp.topology)} gc_timer    0.00 `,
    told("group_fwd_mask"),
    "group_address 01:80:c2:00:00:00 ",
    told("mcast_snooping"),
    "no_linklocal_learn 0 mcast_vlan_snooping 0 ",
    told("mcast_router", "mcast_query_use_ifaddr", "mcast_querier"),
    "mcast_hash_elasticity 16 mcast_hash_max 4096 ",
    told("mcast_last_member_count", "mcast_startup_query_count", "mcast_last_member_interval"),
    told("mcast_membership_interval", "mcast_querier_interval", "mcast_query_interval"),
    told("mcast_query_response_interval", "mcast_startup_query_interval"),
    "mcast_stats_enabled 0 ",
    told("mcast_igmp_version", "mcast_mld_version", "nf_call_iptables"),
    "nf_call_ip6tables 0 nf_call_arptables 0 ",
  ].join("");
}

/** Mirrors iproute2's ip/iplink_bridge_slave.c:bridge_slave_print_opt(). */
function portText({ state, flags, stp, multicast, number }: BridgePort): string {
  const on = (flag: boolean): string => (flag ? "on" : "off");
  return [
    `state ${PORT_STATES.find((name) => name === state) ?? state} priority ${stp.priority} cost ${stp.pathCost} `,
    `hairpin ${on(flags.hairpin)} guard off root_block off fastleave ${on(flags.fastleave)} `,
    `learning ${on(flags.learning)} flood ${on(flags.flood)} `,
    `port_id 0x${stp.id.toString(16)} port_no 0x${number.toString(16)} `,
    `designated_port ${stp.designatedPort} designated_cost ${stp.designatedCost} `,
    `designated_bridge ${bridgeId(stp.designatedBridge)} designated_root ${bridgeId(stp.designatedRoot)} `,
    `hold_timer ${left(stp.hold)} message_age_timer ${left(stp.messageAge)} forward_delay_timer ${left(stp.forwardDelay)} `,
    `topology_change_ack ${Number(stp.topologyChangeAck)} config_pending ${Number(stp.configPending)} `,
    `proxy_arp off proxy_arp_wifi off mcast_router ${multicast.routerSetting} mcast_fast_leave ${on(flags.fastleave)} `,
    `mcast_flood ${on(flags.mcast_flood)} bcast_flood ${on(flags.bcast_flood)} mcast_to_unicast off neigh_suppress off `,
    `group_fwd_mask 0 group_fwd_mask_str 0x0 vlan_tunnel off isolated ${on(flags.isolated)} locked off `,
  ].join("");
}

/** As the tool prints it, without zeros in front: `8000.2:0:0:0:0:1`. */
function bridgeId({ priority, mac }: BridgeId): string {
  const bytes = formatMac(mac).split(":");
  const short = bytes.map((byte) => Number.parseInt(byte, 16).toString(16)).join(":");
  return `${priority.toString(16).padStart(4, "0")}.${short}`;
}

/** Seconds that are left, in whole ticks of 10 ms. */
function left({ remaining }: KernelTimer): string {
  return (Math.floor(remaining / 10_000) / 100).toFixed(2).padStart(7);
}
